"""Prints the CloudFormation template that SAM generates from a SAM template, as JSON.

Usage: expand_template.py FILE [PARAMETER=VALUE ...]

The linters need the generated form: in the SAM form they miss invalid references, runtimes and more. Works offline.
"""

import json
import sys
from pathlib import Path

from samcli.commands.validate.lib.exceptions import InvalidSamDocumentException
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoManagedPolicies:
    """An empty list of AWS managed policies. SAM would fetch the real one from AWS, and the template refers to none."""

    def load(self):
        return {}


try:
    template = yaml_parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    parameters = dict(argument.split("=", 1) for argument in sys.argv[2:])
    validator = SamTemplateValidator(
        template, NoManagedPolicies(), region="us-east-1", parameter_overrides=parameters
    )
    expanded = validator.get_translated_template_if_valid()
except InvalidSamDocumentException as error:
    sys.exit(str(error))
json.dump(yaml_parse(expanded), sys.stdout, indent=1)
