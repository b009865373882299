"""Creates a user of a running MiniStack with a policy, and prints its access key as JSON.

Usage: create_operator.py ENDPOINT POLICY_FILE TABLE
"""

import json
import sys

import boto3

REGION, ACCOUNT, USER = "us-east-1", "000000000000", "operator"

endpoint, policy_file, table = sys.argv[1:]
with open(policy_file, encoding="utf-8") as file:
    policy = file.read().replace("REGION", REGION).replace("ACCOUNT", ACCOUNT).replace("TABLE", table)
iam = boto3.client(
    "iam", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local"
)
iam.create_user(UserName=USER)
iam.put_user_policy(UserName=USER, PolicyName=USER, PolicyDocument=policy)
key = iam.create_access_key(UserName=USER)["AccessKey"]
print(json.dumps({"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
