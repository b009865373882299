"""Authentication by API key: one read by the hash of the key, cached for 60 seconds."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Header, HTTPException

from table import TABLE, db, sha256

LIFETIME_SECONDS = 60


@dataclass(slots=True)
class Caller:
    org: str
    scopes: set[str]
    until: float


_cache: dict[str, Caller] = {}


def organization(scope):
    """The dependency that returns the caller's organization: a 401 without a valid key, a 403 if the key lacks the scope."""

    async def authenticate(x_api_key: Annotated[str | None, Header()] = None) -> str:
        caller = _find(sha256(x_api_key)) if x_api_key else None
        if caller is None:
            raise HTTPException(401, "Invalid or missing authentication credentials")
        if scope not in caller.scopes and "admin" not in caller.scopes:
            raise HTTPException(403, "You do not have permission to access this resource")
        return caller.org

    return authenticate


def _find(key_hash):
    now = time.time()
    cached = _cache.get(key_hash)
    if cached and now < cached.until:
        return cached
    key = {"pk": f"KEY#{key_hash}", "sk": "KEY"}
    item = db.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    if item is None or "revoked_at" in item or _is_past(item.get("valid_until"), now):
        return None
    caller = _cache[key_hash] = Caller(item["org_id"], set(item["scopes"]), now + LIFETIME_SECONDS)
    return caller


def _is_past(timestamp, now):
    return timestamp is not None and datetime.fromisoformat(timestamp).timestamp() <= now
