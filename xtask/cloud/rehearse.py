"""Follows the runbook on a deployed stack of MiniStack, and prints what it did, one line per section.

Usage: rehearse.py DOCUMENT SESSION DIRECTORY

DOCUMENT is docs/operations.md: the commands of its sections are run as they are, by `sh` and the AWS CLI, in DIRECTORY. SESSION
is the file with the URLs and credentials of the stack.

MiniStack restores a table as it is now, whatever time is asked for, so the restore comes before the delete. It delivers nothing
to the dead-letter queue, so this sends the message that Lambda would.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

STACK = "contacts"
# The AWS CLI takes no endpoint of SQS from the environment.
ENDPOINT = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }'
TIMEOUT_SECONDS = 60


def commands(document, heading):
    """The shell commands of a section, up to the next heading."""
    _, _, rest = f"\n{document}".partition(f"\n{heading}\n")
    section = re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", section, flags=re.MULTILINE | re.DOTALL)
    if not blocks:
        sys.exit(f"docs/operations.md has no commands under {heading!r}")
    return "\n".join(line.removeprefix(indent) for indent, block in blocks for line in block.splitlines())


class Runbook:
    def __init__(self, document, endpoint, directory):
        self.document, self.directory, self.lines = document, directory, []
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {
            "PATH": programs, "HOME": str(directory), "AWS_ENDPOINT_URL": endpoint, "AWS_PAGER": "",
            "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1",
        }

    def follow(self, *headings, **variables):
        """Runs the commands of these sections in one shell. Returns what they print."""
        blocks = [ENDPOINT, *(commands(self.document, heading) for heading in ("# Operations", *headings))]
        run = subprocess.run(["sh", "-eu", "-c", "\n".join(blocks)], cwd=self.directory, env=self.environment | variables,
                             capture_output=True, text=True, check=False)
        name = headings[-1].lstrip("# ")
        if run.returncode != 0:
            sys.exit(f"docs/operations.md, {name}: the commands fail\n{run.stdout}{run.stderr}")
        self.lines.append(f"followed the runbook: {name}")
        return run.stdout


class Api:
    def __init__(self, session):
        self.url, self.org, self.key = session["base_url"], session["orgs"][0]["org_id"], session["orgs"][0]["admin_key"]

    def send(self, method, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"} | headers
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)

    def create_contact(self):
        """A contact of an import, with an activity. Returns the ids of contact and import."""
        created = self.send("POST", "/imports/", {"source": "csv"})["id"]
        body = {"full_name": "Jane Doe", "email": f"{uuid.uuid4()}@example.com", "linkedin_profile": "linkedin.com/in/janedoe"}
        contact = self.send("POST", "/contacts/", body, **{"X-Import-ID": created})["id"]
        activity = {"event_time": "2024-04-18T12:15:00Z", "channel": "email", "event_type": "sent"}
        self.send("POST", f"/contacts/{contact}/activities", activity)
        return contact, created

    def timeline(self, contact):
        return self.send("GET", f"/contacts/{contact}?campaign_id=any")


class Table:
    def __init__(self, session):
        self.name = session["table_name"]
        self.client, self.streams = aws(session, "dynamodb"), aws(session, "dynamodbstreams")

    def activities(self, partition):
        values = {":pk": {"S": partition}, ":sk": {"S": "ACTIVITY#"}}
        found = self.client.query(TableName=self.name, KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                                  ExpressionAttributeValues=values, ConsistentRead=True)
        return found["Items"]

    def removal(self, key):
        """The position in the stream of the removal of an item, as Lambda describes it in a message of a dead letter."""
        arn = self.client.describe_table(TableName=self.name)["Table"]["LatestStreamArn"]
        for shard in self.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = self.streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            while iterator:
                page = self.streams.get_records(ShardIterator=iterator)
                for record in page["Records"]:
                    if record["eventName"] == "REMOVE" and record["dynamodb"]["Keys"] == key:
                        position = record["dynamodb"]["SequenceNumber"]
                        return {"streamArn": arn, "shardId": shard["ShardId"], "batchSize": 1,
                                "startSequenceNumber": position, "endSequenceNumber": position}
                iterator = page.get("NextShardIterator") if page["Records"] else None
        sys.exit(f"the stream has no removal of {key}")


def aws(session, service):
    return boto3.client(service, endpoint_url=session["dynamodb_url"], region_name="us-east-1",
                        aws_access_key_id="local", aws_secret_access_key="local")


def wait_until(condition, failure):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{failure} after {TIMEOUT_SECONDS} s")
        time.sleep(0.2)


def expect(found, expected, failure):
    if found != expected:
        sys.exit(f"{failure}: {found!r} instead of {expected!r}")


def restore_a_contact(runbook, api, table):
    contact, created = api.create_contact()
    before, partition = api.timeline(contact), f"ORG#{api.org}#CONTACT#{contact}"
    runbook.follow("### The table at a point in time", AT=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    api.send("DELETE", f"/contacts/{contact}")
    wait_until(lambda: not table.activities(partition), "the worker has not deleted the activity")

    runbook.follow("### Copy items", "### One contact", ORG=api.org, CONTACT=contact)

    expect(api.timeline(contact), before, "the restored contact")
    expect(api.send("GET", f"/imports/{created}")["contacts_count"], 1, "the members of the import")
    runbook.follow("### Copy items", "### Afterwards")


def redrive_a_dead_letter(runbook, api, table, session):
    contact, _ = api.create_contact()
    partition = f"ORG#{api.org}#CONTACT#{contact}"
    orphan = table.activities(partition)[0]
    api.send("DELETE", f"/contacts/{contact}")
    wait_until(lambda: not table.activities(partition), "the worker has not deleted the activity")
    table.client.put_item(TableName=table.name, Item=orphan)
    position = table.removal({"pk": {"S": f"ORG#{api.org}"}, "sk": {"S": f"CONTACT#{contact}"}})
    queue = aws(session, "cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="DeadLetters")["StackResourceDetail"]["PhysicalResourceId"]
    sqs = aws(session, "sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"DDBStreamBatchInfo": position}))

    printed = runbook.follow("## Re-drive dead letters")

    expect(json.loads(printed.splitlines()[-1]), {"batchItemFailures": []}, "the worker's outcome")
    expect(table.activities(partition), [], "the children of the deleted contact")
    expect("Messages" in sqs.receive_message(QueueUrl=queue), False, "a message in the queue")


def main(document, session, directory):
    session, directory = json.loads(Path(session).read_text(encoding="utf-8")), Path(directory)
    if shutil.which("jq") is None:
        sys.exit("cannot run jq, which commands of docs/operations.md use: install it")
    directory.mkdir(exist_ok=True)
    runbook = Runbook(Path(document).read_text(encoding="utf-8"), session["dynamodb_url"], directory)
    api, table = Api(session), Table(session)
    restore_a_contact(runbook, api, table)
    redrive_a_dead_letter(runbook, api, table, session)
    print("\n".join(runbook.lines))


try:
    main(*sys.argv[1:])
except (BotoCoreError, ClientError, OSError) as error:
    sys.exit(f"cannot rehearse the runbook: {error}")
