"""The table: its client and its keys."""

import hashlib
import os
from decimal import Decimal

import boto3

TABLE = os.environ["TABLE_NAME"]
# The client of the resource converts between attribute values and Python's.
db = boto3.resource("dynamodb").meta.client


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def contact_key(org, contact_id):
    return {"pk": f"ORG#{org}", "sk": f"CONTACT#{contact_id}"}


def email_lock_key(org, email):
    return {"pk": f"ORG#{org}#EMAIL#{sha256(email)}", "sk": "EMAIL"}


def to_json(value):
    """A stored value as JSON has it: boto3 reads numbers as Decimal."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {key: to_json(member) for key, member in value.items()}
        case list():
            return [to_json(element) for element in value]
        case _:
            return value


def to_stored(value):
    """A JSON value as boto3 stores it: it refuses a float."""
    match value:
        case float():
            return Decimal(str(value))
        case dict():
            return {key: to_stored(member) for key, member in value.items()}
        case list():
            return [to_stored(element) for element in value]
        case _:
            return value


def warm_up():
    """Opens the connection while the function initializes. There is no such item."""
    db.get_item(TableName=TABLE, Key={"pk": "KEY#", "sk": "KEY"})
