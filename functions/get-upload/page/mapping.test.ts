import assert from 'node:assert/strict';
import { test } from 'node:test';

import vectors from '../../../shared/csv-import/vectors.json' with { type: 'json' };
import {
  FIELDS,
  FIELD_NAMES,
  type Mapping,
  autoMap,
  choosableFields,
  choose,
  missingFields,
  normalizeHeader,
  toContact,
} from './mapping.ts';

/** As in the vectors: the field of each column. */
function byColumn(mapping: Mapping): Record<string, string> {
  return Object.fromEntries([...mapping].map(([field, index]) => [String(index), field]));
}

test('headers are mapped as in the shared vectors', () => {
  assert.ok(vectors.headers.length > 10);
  for (const { headers, mapping } of vectors.headers) {
    assert.deepEqual(byColumn(autoMap(headers)), mapping, JSON.stringify(headers));
  }
});

test('aliases are stored in the form in which headers are compared', () => {
  for (const { aliases } of FIELDS) for (const alias of aliases) assert.equal(normalizeHeader(alias), alias);
});

test('every field has a name', () => {
  assert.deepEqual(Object.keys(FIELD_NAMES).sort(), FIELDS.map(({ field }) => field).sort());
});

test('of the two names of the metadata those that the file has are shown', () => {
  const synonyms = (...headers: string[]) =>
    choosableFields(autoMap(headers)).filter((field) => ['metadata', 'enrichment'].includes(field));
  assert.deepEqual(synonyms('Email'), ['metadata']);
  assert.deepEqual(synonyms('Metadata'), ['metadata']);
  assert.deepEqual(synonyms('Enrichment'), ['enrichment']);
  assert.deepEqual(synonyms('Metadata', 'Enrichment'), ['metadata', 'enrichment']);
  assert.equal(choosableFields(new Map()).length, FIELDS.length - 1);
});

test('a full name excludes its parts, and a part the full name', () => {
  const mapping = autoMap(['First name', 'Last name', 'Display']);
  assert.deepEqual(byColumn(choose(mapping, 'full_name', 2)), { 2: 'full_name' });
  assert.deepEqual(byColumn(choose(new Map([['full_name', 2]]), 'last_name', 1)), { 1: 'last_name' });
  assert.deepEqual(byColumn(choose(mapping, 'first_name', undefined)), { 1: 'last_name' });
});

test('email, LinkedIn profile and a name in either form are required', () => {
  assert.deepEqual(missingFields(new Map()), ['full_name', 'email', 'linkedin_profile']);
  assert.deepEqual(
    missingFields(
      new Map([
        ['email', 0],
        ['linkedin_profile', 1],
        ['last_name', 2],
      ]),
    ),
    [],
  );
});

test('names are joined and blank cells are not sent', () => {
  const mapping: Mapping = new Map([
    ['first_name', 0],
    ['last_name', 1],
    ['email', 2],
    ['company', 3],
  ]);
  const contact = (...cells: string[]) => toContact(cells, mapping);
  assert.deepEqual(contact(' Jane ', 'Doe', 'jane@example.com', 'Acme'), {
    full_name: 'Jane Doe',
    email: 'jane@example.com',
    company: 'Acme',
  });
  assert.deepEqual(contact('', 'Doe', '\u200b', '\u0085\ufeff'), { full_name: 'Doe' });
  assert.deepEqual(contact(' ', '\u202e', '', ''), {});
});
