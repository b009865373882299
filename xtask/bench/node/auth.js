// Authentication by API key: one read by the hash of the key, cached for 60 seconds.

import { GetCommand } from '@aws-sdk/lib-dynamodb';

import { HttpError } from './http.js';
import { TABLE, db, sha256 } from './table.js';

const LIFETIME_MS = 60_000;
const cache = new Map();

/** The caller's organization: a 401 without a valid key, a 403 if the key lacks the scope. */
export async function authenticate(event, scope) {
  const key = event.headers['x-api-key'];
  const caller = key && (await find(sha256(key)));
  if (!caller) {
    throw new HttpError(401, 'Invalid or missing authentication credentials');
  }
  if (!caller.scopes.has(scope) && !caller.scopes.has('admin')) {
    throw new HttpError(403, 'You do not have permission to access this resource');
  }
  return caller.org;
}

async function find(hash) {
  const now = Date.now();
  const cached = cache.get(hash);
  if (cached && now < cached.until) {
    return cached;
  }
  const Key = { pk: `KEY#${hash}`, sk: 'KEY' };
  const { Item } = await db.send(new GetCommand({ TableName: TABLE, Key, ConsistentRead: true }));
  if (!Item || Item.revoked_at || (Item.valid_until && Date.parse(Item.valid_until) <= now)) {
    return undefined;
  }
  const caller = { org: Item.org_id, scopes: new Set(Item.scopes), until: now + LIFETIME_MS };
  cache.set(hash, caller);
  return caller;
}
