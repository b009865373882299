// Which column of a file holds which field of a contact.

import columns from '../../../shared/csv-import/columns.json' with { type: 'json' };

import { isBlank } from './csv.ts';

/** The fields, in the order of the API, each with the headers that name it. */
export const FIELDS: { field: string; aliases: string[] }[] = columns.fields;

/** What the fields are called, in the order in which their columns are chosen. */
export const FIELD_NAMES: Record<string, string> = {
  full_name: 'Full name',
  first_name: 'First name',
  last_name: 'Last name',
  email: 'Email',
  linkedin_profile: 'LinkedIn profile',
  company: 'Company',
  locale: 'Language (locale)',
  timezone: 'Time zone',
  metadata: 'Metadata (JSON)',
  enrichment: 'Enrichment (JSON)',
};

/** Two names of one field of the API, which refuses a contact that has both with different content. */
const SYNONYMS = ['metadata', 'enrichment'];

/** The index of the column of each mapped field. */
export type Mapping = Map<string, number>;

/** The fields of a contact that have text, as `POST /contacts/bulk` takes them. */
export type Contact = Record<string, string>;

const NAME_PARTS = ['first_name', 'last_name'];
const REQUIRED = ['full_name', 'email', 'linkedin_profile'];

/** The form in which headers are compared: without accents, case and punctuation. */
export function normalizeHeader(header: string): string {
  const letters = header.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  return letters.replace(/[^\p{L}\p{N}]+/gu, ' ').trim();
}

/**
 * Maps fields to columns by their headers. The rules are in `shared/csv-import/README.md`; `cargo xtask import` has the same.
 */
export function autoMap(headers: string[]): Mapping {
  const normalized = headers.map(normalizeHeader);
  const mapping: Mapping = new Map();
  for (const { field, aliases } of FIELDS) {
    const alias = aliases.find((candidate) => normalized.includes(candidate));
    if (alias !== undefined) mapping.set(field, normalized.indexOf(alias));
  }
  const fullName = mapping.get('full_name');
  if (fullName === undefined) return mapping;
  // `Name` beside `Surname` is the first name.
  const isInParts = mapping.has('last_name') && !isFullName(normalized[fullName]);
  return without(mapping, isInParts ? ['full_name'] : NAME_PARTS);
}

/** Maps a field to a column, or to none. A full name excludes its parts, and a part the full name. */
export function choose(mapping: Mapping, field: string, column: number | undefined): Mapping {
  const excluded = field === 'full_name' ? NAME_PARTS : NAME_PARTS.includes(field) ? ['full_name'] : [];
  if (column === undefined) return without(mapping, [field]);
  return new Map([...without(mapping, excluded), [field, column]]);
}

/** `true` for a header that cannot mean a first name, as `Name` can. */
function isFullName(header = ''): boolean {
  return !FIELDS.some(({ field, aliases }) => field === 'first_name' && aliases.includes(header));
}

function without(mapping: Mapping, fields: string[]): Mapping {
  return new Map([...mapping].filter(([field]) => !fields.includes(field)));
}

/** The fields whose column can be chosen. Of two synonyms it is the one that a header has named, or else the first. */
export function choosableFields(mapping: Mapping): string[] {
  const named = SYNONYMS.filter((field) => mapping.has(field));
  const shown = named.length > 0 ? named : SYNONYMS.slice(0, 1);
  return Object.keys(FIELD_NAMES).filter((field) => !SYNONYMS.includes(field) || shown.includes(field));
}

/** The required fields that no column is mapped to. */
export function missingFields(mapping: Mapping): string[] {
  const isMapped = (field: string) =>
    mapping.has(field) || (field === 'full_name' && NAME_PARTS.some((part) => mapping.has(part)));
  return REQUIRED.filter((field) => !isMapped(field));
}

/** `true` if a contact cannot be created without the field. A name may also come from its parts. */
export function isRequired(field: string): boolean {
  return REQUIRED.includes(field);
}

/** The contact in the cells of a row. A blank cell counts as not sent, as in a CSV upload. */
export function toContact(cells: string[], mapping: Mapping): Contact {
  const contact: Contact = {};
  for (const [field, index] of mapping) {
    const cell = cells[index] ?? '';
    if (!isBlank(cell)) contact[field] = cell;
  }
  const parts = NAME_PARTS.flatMap((part) => contact[part]?.trim() ?? []);
  for (const part of NAME_PARTS) delete contact[part];
  if (contact.full_name === undefined && parts.length > 0) contact.full_name = parts.join(' ');
  return contact;
}
