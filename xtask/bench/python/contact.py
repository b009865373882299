"""A contact: the models of its bodies, its item, and its JSON."""

import os
import re
import time
import uuid
import zoneinfo
from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, EmailStr, StringConstraints

from table import to_json

LINKEDIN = re.compile(
    r"(?:https?://)?(?:[a-z]{2,3}\.)?linkedin\.com/in/([^/?#\s]+)/?(?:[?#]\S*)?", re.IGNORECASE
)
TIME_ZONES = zoneinfo.available_timezones()
FLAGS = {"delivered": False, "opened": False, "clicked": False, "replied": False}


def _linkedin_profile(url: str) -> str:
    match = LINKEDIN.fullmatch(url.strip())
    if match is None:
        raise ValueError("must be the URL of a LinkedIn profile")
    return f"https://www.linkedin.com/in/{match[1].lower()}"


def _time_zone(name: str) -> str:
    if name not in TIME_ZONES:
        raise ValueError("must be an IANA time zone name")
    return name


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Email = Annotated[EmailStr, AfterValidator(str.lower)]
LinkedinProfile = Annotated[str, AfterValidator(_linkedin_profile)]
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Metadata = dict[Annotated[str, StringConstraints(min_length=1)], Any]


class NewContact(BaseModel):
    full_name: Text
    email: Email
    linkedin_profile: LinkedinProfile
    company: Text | None = None
    locale: Locale | None = None
    timezone: TimeZone | None = None
    metadata: Metadata | None = None


def _not_null(value):
    if value is None:
        raise ValueError("must not be null")
    return value


class ContactPatch(BaseModel):
    full_name: Annotated[Text | None, BeforeValidator(_not_null)] = None
    linkedin_profile: Annotated[LinkedinProfile | None, BeforeValidator(_not_null)] = None
    company: Text | None = None
    locale: Locale | None = None
    timezone: TimeZone | None = None
    metadata: Annotated[Metadata | None, BeforeValidator(_not_null)] = None


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def uuid7():
    """A UUID of version 7 (RFC 9562), which Python's library has from 3.14 on."""
    random = int.from_bytes(os.urandom(10))
    value = (time.time_ns() // 1_000_000) << 80 | random & ((1 << 80) - 1)
    value = value & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 2 << 62))


def view(item):
    """The JSON of a contact's item."""
    return {**_identity(item), "enrichment": _enrichment(item), **_times(item)}


def view_with_timeline(item, activities):
    """The JSON of a contact's item with activities."""
    return {
        **_identity(item),
        "account_id": None,
        "enrichment": _enrichment(item),
        "should_enrich_data": None,
        **_times(item),
        "activities": [_view_activity(activity) for activity in activities],
    }


def _identity(item):
    return {
        "id": item["sk"].removeprefix("CONTACT#"),
        "org_id": item["pk"].removeprefix("ORG#"),
        "full_name": item["full_name"],
        "email": item["email"],
        "linkedin_profile": item["linkedin_profile"],
        "company": item.get("company"),
        "locale": item.get("locale"),
        "timezone": item.get("timezone"),
    }


def _enrichment(item):
    """The enrichment with its keys in the order in which they were sent, and then those that were added later."""
    stored, order = item["enrichment"], item.get("enrichment_order", [])
    keys = [key for key in order if key in stored] + sorted(stored.keys() - set(order))
    return {key: to_json(stored[key]) for key in keys} or None


def _times(item):
    return {"created_at": _to_seconds(item["created_at"]), "updated_at": _to_seconds(item["updated_at"])}


def _to_seconds(timestamp):
    return f"{timestamp[:19]}Z"


def _view_activity(item):
    event_time, activity_id = item["sk"].removeprefix("ACTIVITY#").split("#", 1)
    direction = item.get("direction") or "outbound"
    activity = {
        "id": activity_id,
        "event_time": _to_seconds(event_time) if event_time.endswith(".000Z") else event_time,
        "channel": item.get("channel") or "sistema",
        "event_type": item["event_type"],
        "direction": direction,
    }
    if "sdr_agent_id" in item:
        activity["sdr_agent_id"] = item["sdr_agent_id"]
    return {
        **activity,
        "event_text": to_json(item.get("event_text")),
        "metadata": FLAGS | to_json(item.get("metadata", {})),
        "actor": "SDR" if direction == "outbound" else "Humano",
    }
