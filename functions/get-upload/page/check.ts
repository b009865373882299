// The dry run of a file. The API itself judges every row (`dry_run=true`), so that its rules are not written a second time; only what
// it cannot see is found here: a row with a wrong number of cells, and an email that is in the file more than once.

import { type RefusedRow, sendChunk } from './bulk.ts';
import { chunksOf, sendInOrder } from './chunks.ts';
import type { Row } from './csv.ts';
import type { Job } from './job.ts';
import { type Contact, type Mapping, toContact } from './mapping.ts';
import { type Source, rowsOf } from './source.ts';

/** What loading the file would do. */
export interface Check {
  /** `created` + `updated` + `refused.length` */
  rows: number;
  created: number;
  updated: number;
  /** In the order of the file. */
  refused: RefusedRow[];
  /** Rows whose email an earlier row has, by number, with the number of the first such row. */
  repeated: Map<number, number>;
}

/** Checks every row. `onProgress` is told the bytes that were checked. Throws a `FileError`. */
export async function checkFile(
  job: Job,
  source: Source,
  mapping: Mapping,
  onProgress: (bytes: number, check: Check) => void,
): Promise<Check> {
  const check: Check = { rows: 0, created: 0, updated: 0, refused: [], repeated: new Map() };
  const firstRows = new Map<string, number>();
  const select = (row: Row): Contact | undefined => {
    check.rows += 1;
    const reason = wrongCellCount(row, source.header.length);
    if (reason === undefined) return toContact(row.cells, mapping);
    check.refused.push({ number: row.number, email: null, reason });
    return undefined;
  };
  await sendInOrder(
    chunksOf(rowsOf(source), select),
    (chunk) => job.call((api) => sendChunk(api, chunk, { dryRun: true })),
    (chunk, outcome) => {
      check.refused.push(...outcome.refused);
      for (const { number, email, isNew } of outcome.accepted) {
        const first = firstRows.get(email);
        if (first === undefined) firstRows.set(email, number);
        else check.repeated.set(number, first);
        // A later row of the same email is merged into the contact of the first one.
        if (isNew && first === undefined) check.created += 1;
        else check.updated += 1;
      }
      onProgress(chunk.bytesRead, check);
    },
  );
  check.refused.sort((a, b) => a.number - b.number);
  return check;
}

/** The API's own words for such a row of a CSV upload. */
function wrongCellCount({ cells }: Row, expected: number): string | undefined {
  if (cells.length === expected) return undefined;
  return `has ${cells.length} column${cells.length === 1 ? '' : 's'} instead of ${expected}`;
}
