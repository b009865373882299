"""Starts MiniStack, with corrections where it differs from AWS in a way that neither its settings nor its API can change.

FUNCTION_LOG: the file for what functions print.
ACCESS_LOG:   the file for the permissions that functions used, one JSON object per line, each only once.
"""

import functools
import json
import os
import re
import socketserver
import threading

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import apigateway, dynamodb, lambda_svc
from ministack.services.cloudformation import provisioners

LEADING_KEYS = "dynamodb:LeadingKeys"


def wrap(module, name, wrapper):
    """Replaces a function of MiniStack by one that is given the original first."""
    original = getattr(module, name)
    setattr(module, name, lambda *arguments, **named: wrapper(original, *arguments, **named))


class Lines:
    """A file to which threads append whole lines."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8", buffering=1)
        self.lock = threading.Lock()

    def write(self, lines):
        with self.lock:
            self.file.write("".join(f"{line}\n" for line in lines))


# --- Its Lambda Runtime API sends the head and the body of a response apart. With Nagle's algorithm, the delayed
# acknowledgement between them costs 40 ms a request.

socketserver.StreamRequestHandler.disable_nagle_algorithm = True

# --- Of a named stage, API Gateway passes `/stage/path` to a function; MiniStack passes `/path`.


def invoke_with_stage(original, integration, api_id, stage, path, *arguments, **named):
    if stage != "$default":
        path = f"/{stage}{path}"
    return original(integration, api_id, stage, path, *arguments, **named)


wrap(apigateway, "_invoke_lambda_proxy", invoke_with_stage)

# --- API Gateway responds 503 for a function whose reserved concurrency is used up; MiniStack responds 429.


def throttled_response(original, result):
    if result.get("throttle"):
        return {"statusCode": 503, "body": json.dumps({"message": "Service Unavailable"})}, None
    return original(result)


wrap(lambda_svc, "lambda_execute_result_to_api_proxy_response", throttled_response)

# --- Its CloudFormation ignores or mistakes these properties; its services do not.


def after_creation(resource_type, complete):
    """Calls `complete` with the physical id and the properties of each new resource of a type."""
    handler = provisioners._RESOURCE_HANDLERS[resource_type]
    create = handler["create"]

    def create_completely(logical_id, properties, stack_name):
        physical_id, attributes = create(logical_id, properties, stack_name)
        complete(physical_id, properties)
        return physical_id, attributes

    handler["create"] = create_completely


def reserve_concurrency(function, properties):
    if (reserved := properties.get("ReservedConcurrentExecutions")) is not None:
        lambda_svc._put_function_concurrency(function, {"ReservedConcurrentExecutions": int(reserved)})


def enable_time_to_live(table, properties):
    if setting := properties.get("TimeToLiveSpecification"):
        dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": setting})


def count_in_numbers(table, _properties):
    """CloudFormation passes the index's throughput on as text, and DescribeTable would respond with text, which no SDK reads."""
    for index in dynamodb._tables[table]["GlobalSecondaryIndexes"]:
        index["OnDemandThroughput"] = {name: int(units) for name, units in index["OnDemandThroughput"].items()}


after_creation("AWS::Lambda::Function", reserve_concurrency)
after_creation("AWS::DynamoDB::Table", enable_time_to_live)
after_creation("AWS::DynamoDB::Table", count_in_numbers)

# --- MiniStack evaluates the condition of a Query for every item of a partition, and parses and checks its text each time,
# which is nine tenths of the work. The same text needs that once.

checked = set()
tokens = functools.cache(dynamodb._tokenize)


def evaluate_checked(original, expression, item, values, names, slot="ConditionExpression"):
    if (expression, slot) in checked:
        return dynamodb._ExprEval(tokens(expression), item, values, names).evaluate()
    result = original(expression, item, values, names, slot=slot)
    checked.add((expression, slot))
    return result


wrap(dynamodb, "_evaluate_condition", evaluate_checked)

# --- What functions print, for the developer and for the search for secrets. MiniStack shows it through its API only.

function_log = Lines(os.environ["FUNCTION_LOG"])


def log_function(original, function, request_id, text, *arguments, **named):
    function_log.write((text or "").splitlines())
    return original(function, request_id, text, *arguments, **named)


wrap(lambda_svc, "_emit_lambda_logs", log_function)

# --- MiniStack gives policies no `dynamodb:LeadingKeys`. A `ForAllValues` condition on a missing key is met, so it would
# refuse nothing.


class TransactionAction(str):
    """The action of one item of a transaction, with the item's partition key: MiniStack checks items one by one, and passes
    nothing else of the item to the check."""

    leading_keys = ()


def partition_key(table_name, index_name=None):
    """The name of the partition key attribute of a table or an index; `None` if there is no such table."""
    table = dynamodb._tables.get(table_name.rsplit("/", 1)[-1])
    if table is None or index_name is None:
        return table and table["pk_name"]
    for index in table["GlobalSecondaryIndexes"] or []:
        if index["IndexName"] == index_name:
            return next(key["AttributeName"] for key in index["KeySchema"] if key["KeyType"] == "HASH")
    return None


def value(attribute):
    """The value of an attribute in DynamoDB's JSON: `{"S": "text"}` is `text`."""
    return str(next(iter(attribute.values())))


def key_of_item(table_name, request):
    """The partition key of a request about one item, which has it in `Key` or, to put it, in `Item`."""
    item = request.get("Key") or request.get("Item") or {}
    name = partition_key(table_name)
    return [value(item[name])] if name in item else []


def key_of_query(request):
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    wanted = partition_key(request["TableName"], request.get("IndexName"))
    comparisons = re.findall(r"([#\w.-]+)\s*=\s*(:\w+)", request.get("KeyConditionExpression") or "")
    return [value(values[right]) for left, right in comparisons if names.get(left, left) == wanted and right in values]


def keys_of_batch(items):
    """The partition keys of a BatchGetItem or BatchWriteItem request."""
    keys = []
    for table, requests in items.items():
        if isinstance(requests, dict):
            found = [{"Key": key} for key in requests.get("Keys", [])]
        else:
            found = [operation for request in requests for operation in request.values()]
        keys += [key for request in found for key in key_of_item(table, request)]
    return keys


def leading_keys(body):
    """The partition keys that a request names, as AWS defines `dynamodb:LeadingKeys`; those of a transaction are with its
    items."""
    request = json.loads(body or b"{}")
    if "RequestItems" in request:
        return keys_of_batch(request["RequestItems"])
    if "KeyConditionExpression" in request:
        return key_of_query(request)
    return key_of_item(request["TableName"], request) if "TableName" in request else []


def context_with_leading_keys(original, body):
    keys = leading_keys(body)
    return original(body) | ({LEADING_KEYS: keys} if keys else {})


def checks_with_leading_keys(original, action, body, *arguments):
    checks = original(action, body, *arguments)
    if not checks:
        return checks
    operations = [operation for item in json.loads(body)["TransactItems"] for operation in item.values()]
    keyed = []
    for (item_action, arn), operation in zip(checks, operations, strict=True):
        item_action = TransactionAction(item_action)
        item_action.leading_keys = key_of_item(operation["TableName"], operation)
        keyed.append((item_action, arn))
    return keyed


wrap(iam_actions, "dynamodb_service_context", context_with_leading_keys)
wrap(iam_actions, "dynamodb_transaction_checks", checks_with_leading_keys)

# --- The permissions that functions use.

access_log, logged = Lines(os.environ["ACCESS_LOG"]), set()


def shape(key):
    """A key without its ids and hashes: of thousands of keys, a few shapes remain, which match the same policies."""
    return re.sub(r"[0-9a-fA-F-]{32,}", "0", key)


def logged_enforce(original, access_key, action, service, region, resource_arn="*", service_context=None):
    if isinstance(action, TransactionAction):
        service_context = (service_context or {}) | {LEADING_KEYS: action.leading_keys}
    refused = original(access_key, action, service, region, resource_arn=resource_arn, service_context=service_context)
    if not iam_evaluator.is_root_access_key(access_key or ""):
        log_access(access_key, action, resource_arn, service_context or {}, refused is None)
    return refused


def log_access(access_key, action, resource, context, allowed):
    principal = iam_evaluator.resolve_principal(access_key, get_account_id(), None)
    keys = sorted({shape(key) for key in context.get(LEADING_KEYS, ())})
    entry = json.dumps({"principal": getattr(principal, "arn", str(principal)), "action": action, "resource": resource,
                        "leading_keys": keys, "allowed": allowed})
    if entry not in logged:
        logged.add(entry)
        access_log.write([entry])


wrap(iam_evaluator, "enforce", logged_enforce)

if __name__ == "__main__":
    from ministack.app import main

    main()
