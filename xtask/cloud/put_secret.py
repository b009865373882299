"""Stores a new version of a secret in a running MiniStack. Usage: JWT_SECRET=... put_secret.py ENDPOINT ARN"""

import os
import sys

import boto3

endpoint, arn = sys.argv[1:]
client = boto3.client(
    "secretsmanager",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="local",
    aws_secret_access_key="local",
)
print(client.put_secret_value(SecretId=arn, SecretString=os.environ["JWT_SECRET"])["VersionId"])
