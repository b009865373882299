r"""Deploys template.yaml to a running MiniStack, by CloudFormation, and prints a JSON description of the deployment.

Usage: JWT_SECRET=... JWT_SECRET_PREVIOUS=... deploy.py --endpoint URL --template FILE --binaries DIRECTORY \
    --packages DIRECTORY [NAME=VALUE ...]

The template stays as it is; NAME=VALUE are its parameters. The secrets become the versions AWSCURRENT and AWSPREVIOUS of a
secret in Secrets Manager. SAM expands the template here, as AWS does. Of the result, this changes what MiniStack does not
understand:

- API Gateway's routes, which SAM writes as an OpenAPI document, become resources.
- Resources of types that MiniStack does not have are left out, and so are alarms on expressions. They are named.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

STACK = "contacts"
BUCKET = "deployment"
# The root of the account. All other keys are those of roles, to whom IAM applies.
CREDENTIALS = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
# How long functions cache the secret. Short, so that a rotation of it can be tested, and longer than the 10 seconds in which
# they accept a new one.
SECRET_CACHE_SECONDS = "15"
UNSUPPORTED = ("AWS::CodeDeploy::",)
STACK_TIMEOUT_SECONDS = 120


class NoManagedPolicies:
    """An empty list of AWS managed policies. SAM would fetch the real one from AWS, and the template refers to none."""

    def load(self):
        return {}


def package(binary, packages):
    """Zips a function's binary without its debug information, unless that has been done already."""
    archive = packages / f"{binary.name}.zip"
    if archive.exists() and archive.stat().st_mtime > binary.stat().st_mtime:
        return
    stripped = packages / f"{binary.name}.bootstrap"
    subprocess.run(["strip", "-o", stripped, binary], check=True)
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, stripped.read_bytes(), compresslevel=1)
    stripped.unlink()


def upload_functions(template, s3, binaries, packages):
    """Packages and uploads all functions, and sets their `CodeUri`, as `sam build` and `sam deploy` do."""
    functions = [r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    names = [function["Metadata"]["BuildProperties"]["Binary"] for function in functions]
    packages.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda name: package(binaries / name, packages), names))
    for function, name in zip(functions, names, strict=True):
        s3.upload_file(str(packages / f"{name}.zip"), BUCKET, f"{name}.zip")
        function["Properties"]["CodeUri"] = f"s3://{BUCKET}/{name}.zip"


def expand_routes(name, api, resources):
    """Replaces the OpenAPI document of an API by integrations and routes."""
    properties, reference = api["Properties"], {"Ref": name}
    document = properties.pop("Body")
    properties |= {"ProtocolType": "HTTP"}
    properties.setdefault("Name", document["info"]["title"])
    if cors := document.get("x-amazon-apigateway-cors"):
        properties["CorsConfiguration"] = cors
    operations = [
        (path, "ANY" if method == "x-amazon-apigateway-any-method" else method.upper(), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]
    for number, (path, method, operation) in enumerate(operations):
        integration = operation["x-amazon-apigateway-integration"]
        resources[f"{name}Integration{number}"] = {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": reference,
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": integration["uri"],
                "PayloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
            },
        }
        resources[f"{name}Route{number}"] = {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {
                "ApiId": reference,
                "RouteKey": path if path == "$default" else f"{method} {path}",
                "Target": {"Fn::Join": ["/", ["integrations", {"Ref": f"{name}Integration{number}"}]]},
            },
        }


def is_supported(resource):
    is_expression = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    return not is_expression and not resource["Type"].startswith(UNSUPPORTED)


def adapt(expanded):
    """Changes an expanded template for MiniStack. Returns the names of the resources that it leaves out."""
    expanded.pop("Transform", None)
    resources = expanded["Resources"]
    left_out = [name for name, resource in resources.items() if not is_supported(resource)]
    for name in left_out:
        del resources[name]
    for name, resource in list(resources.items()):
        resource.pop("UpdatePolicy", None)
        if resource["Type"] == "AWS::ApiGatewayV2::Api":
            expand_routes(name, resource, resources)
    return left_out


def create_secret(client):
    """Creates a secret with a previous version, as after a rotation. Returns its ARN."""
    secret = client.create_secret(Name=f"{STACK}/jwt", SecretString=os.environ["JWT_SECRET_PREVIOUS"])
    client.put_secret_value(SecretId=secret["ARN"], SecretString=os.environ["JWT_SECRET"])
    return secret["ARN"]


def create_stack(client, template_url, parameters):
    client.create_stack(
        StackName=STACK,
        TemplateURL=template_url,
        DisableRollback=True,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    deadline = time.monotonic() + STACK_TIMEOUT_SECONDS
    while True:
        stack = client.describe_stacks(StackName=STACK)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return stack
        if not stack["StackStatus"].endswith("IN_PROGRESS") or time.monotonic() > deadline:
            sys.exit(f"the stack is {stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason is given')}")
        time.sleep(0.1)


def roles(iam, resources):
    """The policies of all roles of the stack, with the ARNs that references have become."""
    found = []
    for resource in resources:
        if resource["ResourceType"] != "AWS::IAM::Role":
            continue
        name = resource["PhysicalResourceId"]
        policies = [
            iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        managed = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        found.append({
            "logical_id": resource["LogicalResourceId"],
            "name": name,
            "statements": [statement for policy in policies for statement in policy["Statement"]],
            "managed_policies": [policy["PolicyArn"] for policy in managed],
        })
    return found


def variables(client, resources):
    """The names of the environment variables of each function."""
    functions = [resource for resource in resources if resource["ResourceType"] == "AWS::Lambda::Function"]
    configurations = [client.get_function_configuration(FunctionName=f["PhysicalResourceId"]) for f in functions]
    return {
        function["LogicalResourceId"]: sorted(configuration.get("Environment", {}).get("Variables", {}))
        for function, configuration in zip(functions, configurations, strict=True)
    }


def main():
    if shutil.which("strip") is None:
        sys.exit("cannot run strip: install binutils")
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--template", required=True, type=Path)
    parser.add_argument("--binaries", required=True, type=Path)
    parser.add_argument("--packages", required=True, type=Path)
    parser.add_argument("parameters", nargs="*")
    options = parser.parse_args()
    parameters = dict(parameter.split("=", 1) for parameter in options.parameters)

    def client(service):
        return boto3.client(service, endpoint_url=options.endpoint, **CREDENTIALS)

    s3, cloudformation = client("s3"), client("cloudformation")
    secret = create_secret(client("secretsmanager"))
    template = yaml_parse(options.template.read_text(encoding="utf-8"))
    parameters = {"JwtSecretArn": secret, "JwtSecretCacheSeconds": SECRET_CACHE_SECONDS} | parameters
    s3.create_bucket(Bucket=BUCKET)
    upload_functions(template, s3, options.binaries, options.packages)
    os.environ.setdefault("AWS_DEFAULT_REGION", CREDENTIALS["region_name"])
    expanded = transform(template, dict(parameters), NoManagedPolicies())
    left_out = adapt(expanded)
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(expanded, default=str).encode())
    stack = create_stack(cloudformation, f"{options.endpoint}/{BUCKET}/template.json", parameters)

    resources = []
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK):
        resources += page["StackResourceSummaries"]
    physical_ids = {resource["ResourceType"]: resource["PhysicalResourceId"] for resource in resources}
    api, stage = physical_ids["AWS::ApiGatewayV2::Api"], physical_ids["AWS::ApiGatewayV2::Stage"]
    description = {
        "base_url": f"{options.endpoint}/_aws/execute-api/{api}/{stage}",
        "secret_arn": secret,
        "secret_cache_seconds": int(parameters["JwtSecretCacheSeconds"]),
        "outputs": {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        "resources": len(resources),
        "left_out": left_out,
        "roles": roles(client("iam"), resources),
        "variables": variables(client("lambda"), resources),
    }
    json.dump(description, sys.stdout)


try:
    main()
except (ClientError, InvalidDocumentException, OSError, subprocess.CalledProcessError) as error:
    sys.exit(str(error))
