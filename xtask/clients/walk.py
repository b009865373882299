"""Walks through the API with the client that openapi-python-client generates."""

import json
import os
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from uuid import uuid4

from generated.contacts_api import AuthenticatedClient
from generated.contacts_api.api.contacts import (
    bulk_upload_contacts,
    create_contact,
    get_contact,
    list_contacts,
    record_activities,
)
from generated.contacts_api.api.imports import create_import, list_imports
from generated.contacts_api.models import (
    BulkReport,
    Contact,
    ContactWithTimeline,
    Import,
    ImportStatus,
    NewActivity,
    NewContact,
    NewImport,
    OnError,
)
from generated.contacts_api.models.new_activity_event_text_type_0 import NewActivityEventTextType0
from generated.contacts_api.models.new_contact_metadata_type_0 import NewContactMetadataType0

# The generator leaves an operation out if it cannot describe a part of it.
for path in json.loads(Path("openapi.json").read_text())["paths"].values():
    for operation in path.values():
        tag = operation["tags"][0].replace("-", "_")
        import_module(f"generated.contacts_api.api.{tag}.{operation['operationId']}")

session = json.loads(Path(os.environ["E2E_SESSION"]).read_text())
client = AuthenticatedClient(
    base_url=session["base_url"],
    token=session["orgs"][0]["admin_key"],
    auth_header_name="X-API-Key",
    prefix="",
)


def contact(name: str) -> NewContact:
    slug = f"{name}-{uuid4()}"
    return NewContact(full_name=name, email=f"{slug}@example.com", linkedin_profile=f"linkedin.com/in/{slug}")


# Create: free-form metadata, a header.
imported = create_import.sync(client=client, body=NewImport(source="csv"))
assert isinstance(imported, Import), imported
john = contact("John")
john.metadata = NewContactMetadataType0.from_dict({"a": 1})
response = create_contact.sync_detailed(client=client, body=john, x_import_id=str(imported.id))
created = response.parsed
assert response.status_code == 201 and isinstance(created, Contact), response
assert created.enrichment is not None and created.enrichment.to_dict() == {"a": 1}, created

# Get with the timeline: an object and an array as texts.
texts: list[NewActivityEventTextType0 | list[object]] = [
    NewActivityEventTextType0.from_dict({"message": "Hello"}),
    ["Hello", 2],
]
activities = [
    NewActivity(event_time=datetime(2024, 4, 18 + day, tzinfo=UTC), event_type="message_sent", event_text=text)
    for day, text in enumerate(texts)
]
recorded = record_activities.sync(created.id, client=client, body=activities)
assert isinstance(recorded, list) and len(recorded) == 2, recorded
read = get_contact.sync(created.id, client=client, campaign_id="any")
assert isinstance(read, ContactWithTimeline), read
assert [activity.to_dict()["event_text"] for activity in read.activities] == [{"message": "Hello"}, ["Hello", 2]]
assert read.activities[0].metadata["opened"] is False

# Bulk: one row is not valid.
jack = contact("Jack")
jack.email = "jack"
report = bulk_upload_contacts.sync(
    client=client, body=[contact("Jane"), jack], on_error=OnError.SKIP, x_import_id=str(imported.id)
)
assert isinstance(report, BulkReport), report
assert report.created == 1 and report.skipped[0].row == 2, report

# List: filters.
listed = list_contacts.sync(client=client, import_id=imported.id)
assert isinstance(listed, list), listed
assert sorted(contact.full_name for contact in listed) == ["Jane", "John"], listed
pending = list_imports.sync(client=client, status=ImportStatus.PENDING)
assert isinstance(pending, list) and imported.id in [each.id for each in pending], pending
