"""Prints, as JSON, the CloudFormation template that SAM makes of the template named on the command line.

Linters are to see this form: in the short one they miss bad references, runtimes and more. Asks AWS nothing.
"""

import json
import sys
from pathlib import Path

from samcli.commands.validate.lib.exceptions import InvalidSamDocumentException
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoManagedPolicies:
    """Stands in for the list of AWS's managed policies, which could only be asked of AWS and which we do not use."""

    def load(self):
        return {}


try:
    template = yaml_parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    validator = SamTemplateValidator(template, NoManagedPolicies(), region="us-east-1")
    expanded = validator.get_translated_template_if_valid()
except InvalidSamDocumentException as error:
    sys.exit(str(error))
json.dump(yaml_parse(expanded), sys.stdout, indent=1)
