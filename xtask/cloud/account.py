"""Prepares the AWS account of the usual profile for a deployment, and prints a JSON description of it.

Usage: JWT_SECRET=... account.py STACK

JWT_SECRET is stored in Secrets Manager as STACK/jwt, unless that secret exists; then the existing one is printed. The
description contains credentials: it is for a pipe, not for a terminal.
"""

import json
import os
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

# What `cargo xtask cloud --aws` tags its stacks with.
TAG = "contacts-end-to-end-tests"
# The template's parameter for the secret, and the attribute of the secret that it takes.
SECRET_PARAMETER, SECRET_ATTRIBUTE = "JwtSecretArn", "ARN"


def error_code(error):
    return error.response["Error"]["Code"]


def ensure_stack_is_for_tests(session, name):
    """The tests leave data behind, so a stack that serves another purpose must not be tested by accident."""
    try:
        stack = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error_code(error) == "ValidationError":
            return
        raise
    if TAG not in {tag["Key"] for tag in stack["Tags"]}:
        sys.exit(f"the stack {name} was not created by this command: choose another name with --stack")


def ensure_secret(session, name, value):
    """The secret with this name, created with this value if it is missing."""
    client = session.client("secretsmanager")
    try:
        client.create_secret(Name=name, SecretString=value)
    except ClientError as error:
        if error_code(error) != "ResourceExistsException":
            raise
    return client.get_secret_value(SecretId=name)


def main(stack):
    # boto3 itself reads AWS_DEFAULT_REGION only.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    credentials = session.get_credentials()
    if credentials is None:
        sys.exit("there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if session.region_name is None:
        sys.exit("there is no AWS region: set AWS_REGION")
    account = session.client("sts").get_caller_identity()["Account"]
    ensure_stack_is_for_tests(session, stack)
    secret = ensure_secret(session, f"{stack}/jwt", os.environ["JWT_SECRET"])
    frozen = credentials.get_frozen_credentials()
    json.dump({
        "account": account,
        "tag": f"{TAG}=true",
        "secret": secret["SecretString"],
        "secret_parameter": f"{SECRET_PARAMETER}={secret[SECRET_ATTRIBUTE]}",
        "variables": {
            "AWS_REGION": session.region_name,
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "AWS_SESSION_TOKEN": frozen.token or "",
        },
    }, sys.stdout)


try:
    main(sys.argv[1])
except (BotoCoreError, ClientError) as error:
    sys.exit(f"AWS refuses: {error}")
