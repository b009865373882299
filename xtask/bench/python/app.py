"""The peer of the functions in Python: one FastAPI application behind Mangum."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from mangum import Mangum

from auth import organization
from contact import ContactPatch, NewContact, now, uuid7, view, view_with_timeline
from table import TABLE, contact_key, db, email_lock_key, to_stored, warm_up

app = FastAPI(openapi_url=None)
# For a second call at once: boto3 blocks its thread.
threads = ThreadPoolExecutor(1)
Reader = Annotated[str, Depends(organization("read"))]
Writer = Annotated[str, Depends(organization("write"))]


@app.exception_handler(RequestValidationError)
async def invalid(_request, error):
    errors = (" ".join([".".join(map(str, e["loc"][1:])), e["msg"]]) for e in error.errors())
    return JSONResponse({"detail": f"Validation error: {'; '.join(errors)}"}, 400)


@app.post("/contacts/")
async def create_contact(new: NewContact, org: Writer):
    """One transaction of the contact and the lock of its email."""
    contact_id, created_at = uuid7(), now()
    fields = new.model_dump(exclude_none=True)
    enrichment = to_stored(fields.pop("metadata", {}))
    contact = {
        **contact_key(org, contact_id),
        "type": "contact",
        **fields,
        "enrichment": enrichment,
        "enrichment_order": list(enrichment),
        "created_at": created_at,
        "updated_at": created_at,
        "version": 1,
    }
    lock = {**email_lock_key(org, new.email), "type": "email_lock", "contact_id": contact_id}
    try:
        db.transact_write_items(TransactItems=[_put_new(contact), _put_new(lock)])
    except db.exceptions.TransactionCanceledException as error:
        if error.response["CancellationReasons"][1]["Code"] == "ConditionalCheckFailed":
            raise HTTPException(409, f"Contact with email '{new.email}' already exists") from error
        raise
    return JSONResponse(view(contact), 201, {"location": f"/contacts/{contact_id}"})


def _put_new(item):
    return {"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


@app.put("/contacts/{contact_id}")
async def update_contact(contact_id: UUID, patch: ContactPatch, org: Writer):
    """One conditional update. The keys of the metadata are merged, their values are not."""
    fields = patch.model_dump(exclude_unset=True)
    metadata = fields.pop("metadata", {})
    changes = [((name,), value) for name, value in fields.items()]
    changes += [(("enrichment", key), to_stored(value)) for key, value in metadata.items()]
    changes.append((("updated_at",), now()))
    try:
        updated = db.update_item(
            TableName=TABLE,
            Key=contact_key(org, contact_id),
            ConditionExpression="attribute_exists(pk)",
            ReturnValues="ALL_NEW",
            **_expression(changes),
        )
    except db.exceptions.ConditionalCheckFailedException as error:
        raise HTTPException(404, "Contact not found") from error
    return JSONResponse(view(updated["Attributes"]))


def _expression(changes):
    """The update expression of changes, each a path and its new value. None removes an attribute."""
    sets, removes = ["#version = #version + :one"], []
    names, values = {"#version": "version"}, {":one": 1}
    for index, (path, value) in enumerate(changes):
        placeholders = [f"#n{index}_{depth}" for depth in range(len(path))]
        names |= zip(placeholders, path)
        place = ".".join(placeholders)
        if value is None:
            removes.append(place)
        else:
            values[f":v{index}"] = value
            sets.append(f"{place} = :v{index}")
    remove = f" REMOVE {', '.join(removes)}" if removes else ""
    return {
        "UpdateExpression": f"SET {', '.join(sets)}{remove}",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


@app.get("/contacts/{contact_id}")
async def get_contact(
    contact_id: UUID,
    org: Reader,
    campaign_id: Literal["all", "any"] | UUID = "all",
    page: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
):
    """The contact and the active campaigns in one call, and its activities in another at the same time."""
    limit_read = (page + 1) * limit + 1
    activities = threads.submit(_query, f"ORG#{org}#CONTACT#{contact_id}", "ACTIVITY#", Limit=limit_read)
    key = contact_key(org, contact_id)
    keys = [key, {"pk": key["pk"], "sk": "ACTIVE_CAMPAIGNS"}]
    found = db.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})["Responses"][TABLE]
    contact = next((item for item in found if item["type"] == "contact"), None)
    if contact is None:
        raise HTTPException(404, "Contact not found")
    active = next((item["campaign_ids"] for item in found if item["type"] == "active_campaigns"), set())
    shown = [activity for activity in activities.result() if _is_shown(activity.get("campaign_id"), campaign_id, active)]
    return JSONResponse(view_with_timeline(contact, shown[page * limit : (page + 1) * limit]))


def _is_shown(campaign_id, wanted, active):
    match wanted:
        case "any":
            return True
        case "all":
            return not active or campaign_id in active
        case _:
            return campaign_id == str(wanted)


@app.get("/contacts/")
async def list_contacts(org: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 1000):
    """One query, newest first."""
    # One more tells whether another page follows.
    items = _query(f"ORG#{org}", "CONTACT#", ScanIndexForward=False, Limit=limit + 1)
    return JSONResponse([view(item) for item in items[:limit]])


def _query(partition, prefix, **options):
    return db.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ExpressionAttributeValues={":pk": partition, ":prefix": prefix},
        ConsistentRead=True,
        **options,
    )["Items"]


_respond = Mangum(app, lifespan="off")


def handler(event, context):
    """The handler of the function. Logs one line per request."""
    start = time.perf_counter()
    response = _respond(event, context)
    line = {
        "level": "INFO",
        "operation": event["routeKey"],
        "request_id": event["requestContext"]["requestId"],
        "status": response["statusCode"],
        "duration_ms": (time.perf_counter() - start) * 1000,
    }
    print(json.dumps(line), flush=True)
    return response


warm_up()
