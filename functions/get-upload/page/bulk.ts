// One chunk of rows through `POST /contacts/bulk`, and the outcome of each of its rows.

import { type Api, ApiError } from './api.ts';
import type { Chunk, ContactRow } from './chunks.ts';

/** The report of a bulk upload, as far as this page reads it. */
interface Report {
  details: { id: string | null; email: string }[];
  created: number;
  updated: number;
  skipped: { row: number; email: string | null; detail: string }[];
  /** The rows were written, but not under the import, which is unknown (207). */
  warning?: string;
}

/** A row that the API refuses. */
export interface RefusedRow {
  number: number;
  /** The email as it is in the row, if the row has one that can be shown. */
  email: string | null;
  reason: string;
}

/**
 * The import that rows are loaded under is not there for the current key. The detail is for the person who waits: what to do
 * depends on what they have done.
 */
export class ImportNotFound extends ApiError {
  constructor() {
    super(
      404,
      'The API does not find the import of this load: this key belongs to another organization, or the import was deleted. ' +
        'Enter a key of the same organization in step 1, then continue. If the import was deleted, open the page again and ' +
        'load the file again: no contact is created twice.',
    );
  }
}

/** The outcome of a chunk: each of its rows is accepted or refused. */
export interface Outcome {
  created: number;
  updated: number;
  /** The rows that were written, or would be, with their emails in canonical form. */
  accepted: { number: number; email: string; isNew: boolean }[];
  refused: RefusedRow[];
}

/** Where and how rows are sent. */
export interface Target {
  dryRun: boolean;
  importId?: string;
}

/** A chunk that is too much for one call is sent in halves. A row that is too much alone is refused. */
const TOO_MUCH = [400, 413];

/** Sends a chunk. All attempts share its idempotency key, so that two of them cannot run at the same time. */
export async function sendChunk(
  api: Api,
  chunk: Pick<Chunk, 'rows' | 'idempotencyKey'>,
  target: Target,
): Promise<Outcome> {
  const { rows, idempotencyKey } = chunk;
  const importHeader = target.importId ? { 'X-Import-ID': target.importId } : {};
  try {
    const report = await api.send({
      method: 'POST',
      path: `contacts/bulk?on_error=skip${target.dryRun ? '&dry_run=true' : ''}`,
      body: rows.map(({ contact }) => contact),
      headers: { 'Idempotency-Key': idempotencyKey, ...importHeader },
    });
    return outcomeOf(rows, report as Report);
  } catch (error) {
    if (!(error instanceof ApiError) || !TOO_MUCH.includes(error.status)) throw error;
    const [row] = rows;
    if (row && rows.length === 1) {
      const refused = [{ number: row.number, email: null, reason: withoutPrefix(error.detail) }];
      return { created: 0, updated: 0, accepted: [], refused };
    }
    const half = Math.ceil(rows.length / 2);
    const first = await sendChunk(api, { rows: rows.slice(0, half), idempotencyKey: `${idempotencyKey}-1` }, target);
    const second = await sendChunk(api, { rows: rows.slice(half), idempotencyKey: `${idempotencyKey}-2` }, target);
    return merged(first, second);
  }
}

/** Matches a report with the rows that were sent: `details` has those that are not in `skipped`, in their order. */
function outcomeOf(rows: ContactRow[], report: Report): Outcome {
  if (report.warning !== undefined) throw new ImportNotFound();
  const skipped = new Map(report.skipped.map((row) => [row.row, row]));
  const details = report.details.values();
  const outcome: Outcome = {
    created: report.created,
    updated: report.updated,
    accepted: [],
    refused: [],
  };
  rows.forEach(({ number }, index) => {
    const refused = skipped.get(index + 1);
    if (refused) {
      outcome.refused.push({ number, email: refused.email, reason: withoutPrefix(refused.detail) });
      return;
    }
    const detail = details.next().value;
    if (!detail) throw new ApiError(0, `The report of the API does not have row ${index + 1} of ${rows.length}.`);
    outcome.accepted.push({ number, email: detail.email, isNew: detail.id === null });
  });
  return outcome;
}

function merged(first: Outcome, second: Outcome): Outcome {
  return {
    created: first.created + second.created,
    updated: first.updated + second.updated,
    accepted: [...first.accepted, ...second.accepted],
    refused: [...first.refused, ...second.refused],
  };
}

/** The reason without the words that every validation error begins with. */
function withoutPrefix(detail: string): string {
  return detail.replace(/^Validation error: /, '');
}
