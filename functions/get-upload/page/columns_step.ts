// Step 3: the column of each field.

import { any, option, show } from './dom.ts';
import { FIELD_NAMES, autoMap, choosableFields, choose, isRequired, missingFields } from './mapping.ts';
import type { Source } from './source.ts';
import { state } from './state.ts';

const NONE = '';
const FULL_NAME = 'full_name';

const selects = new Map<string, HTMLSelectElement>();

/** Shows the columns of a file, mapped by their headers. `onChange` is told that the mapping has changed. */
export function open(source: Source, onChange: () => void): void {
  state.mapping = autoMap(source.header);
  selects.clear();
  any('columns').replaceChildren(
    ...choosableFields(state.mapping).map((field) => fieldOf(field, source, onChange)),
  );
  showMapping(source);
  show('columns-step', true);
}

/** Marks the required fields without a column, and goes to the first one. */
export function requireColumns(): string | undefined {
  const missing = missingFields(state.mapping);
  for (const [field, select] of selects) {
    if (missing.includes(field)) select.setAttribute('aria-invalid', 'true');
    else select.removeAttribute('aria-invalid');
  }
  const [first] = missing;
  if (first === undefined) return undefined;
  selects.get(first)?.focus();
  return `Choose a column in step 3 for: ${missing.map((field) => (field === FULL_NAME ? 'Full name, or First name and Last name' : FIELD_NAMES[field])).join('; ')}.`;
}

function fieldOf(field: string, source: Source, onChange: () => void): HTMLElement {
  const container = document.createElement('div');
  const label = document.createElement('label');
  const select = document.createElement('select');
  const example = document.createElement('p');
  container.className = 'field';
  select.id = `column-${field}`;
  label.htmlFor = select.id;
  label.textContent = `${FIELD_NAMES[field]}${hintOf(field)}`;
  example.id = `example-${field}`;
  example.className = 'hint';
  select.setAttribute('aria-describedby', example.id);
  select.append(
    option(NONE, 'No column'),
    ...source.header.map((name, index) => option(String(index), columnName(name, index))),
  );
  select.addEventListener('change', () => {
    state.mapping = choose(state.mapping, field, select.value === NONE ? undefined : Number(select.value));
    select.removeAttribute('aria-invalid');
    showMapping(source);
    onChange();
  });
  selects.set(field, select);
  container.append(label, select, example);
  return container;
}

/** A required name can be in one column or in two. */
function hintOf(field: string): string {
  if (field === FULL_NAME) return ' (or first and last name)';
  return isRequired(field) ? ' (required)' : '';
}

function showMapping(source: Source): void {
  for (const [field, select] of selects) {
    const index = state.mapping.get(field);
    select.value = index === undefined ? NONE : String(index);
    const first = source.firstRows.find(({ cells }) => index !== undefined && cells[index]?.trim());
    const example = document.getElementById(`example-${field}`);
    if (example) example.textContent = index === undefined ? '' : `First value: ${first?.cells[index] ?? 'none'}`;
  }
}

/** The header of a column; its letter in a spreadsheet if it has none. */
function columnName(name: string, index: number): string {
  if (name.trim() !== '') return name;
  const last = String.fromCharCode(65 + (index % 26));
  return `Column ${index < 26 ? '' : String.fromCharCode(64 + Math.floor(index / 26))}${last}`;
}
