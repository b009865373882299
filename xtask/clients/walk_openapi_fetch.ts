// Walks through the API with the types that openapi-typescript generates, and openapi-fetch.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import createClient from 'openapi-fetch';
import type { paths } from './generated/openapi_typescript/schema.js';
import { apiKey, baseUrl } from './session.js';

const client = createClient<paths>({ baseUrl, headers: { 'X-API-Key': apiKey } });

function contact(name: string) {
  const slug = `${name}-${randomUUID()}`;
  return { full_name: name, email: `${slug}@example.com`, linkedin_profile: `linkedin.com/in/${slug}` };
}

// Create: free-form metadata, a header.
const { data: imported } = await client.POST('/imports', { body: { source: 'csv', mapping_json: { Email: 'email' } } });
assert.ok(imported);
const header = { 'X-Import-ID': imported.id };
const { data: created, response } = await client.POST('/contacts', {
  params: { header },
  body: { ...contact('John'), metadata: { a: 1 } },
});
assert.equal(response.status, 201);
assert.ok(created);
assert.deepEqual(created.enrichment, { a: 1 });

// Get with the timeline: an object and an array as texts.
const path = { contact_id: created.id };
const event = { event_type: 'message_sent', metadata: { opened: true } };
const { data: recorded } = await client.POST('/contacts/{contact_id}/activities', {
  params: { path },
  body: [
    { ...event, event_time: '2024-04-18T10:15:00Z', event_text: { message: 'Hello' } },
    { ...event, event_time: '2024-04-19T10:15:00Z', event_text: ['Hello', 2] },
  ],
});
assert.equal(recorded?.length, 2);
const { data: read } = await client.GET('/contacts/{contact_id}', { params: { path, query: { campaign_id: 'any' } } });
assert.deepEqual(read?.activities.map((activity) => activity.event_text), [{ message: 'Hello' }, ['Hello', 2]]);
assert.equal(read.activities[0]?.metadata['opened'], true);

// Bulk: one row is not valid.
const { data: report } = await client.POST('/contacts/bulk', {
  params: { header, query: { on_error: 'skip' } },
  body: [contact('Jane'), { ...contact('Jack'), email: 'jack' }],
});
assert.equal(report?.created, 1);
assert.equal(report.skipped[0]?.row, 2);

// List: filters, and an error.
const { data: listed } = await client.GET('/contacts', { params: { query: { import_id: imported.id } } });
assert.deepEqual(listed?.map(({ full_name }) => full_name).sort(), ['Jane', 'John']);
const { data: pending } = await client.GET('/imports', { params: { query: { status: 'pending' } } });
assert.ok(pending?.some(({ id }) => id === imported.id));
// @ts-expect-error The statuses are known to the compiler.
const { error } = await client.GET('/imports', { params: { query: { status: 'unknown' } } });
assert.match(error?.detail ?? '', /^Validation error: status /);
