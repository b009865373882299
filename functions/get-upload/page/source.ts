// A chosen file: how it is read, its header and its rows. A file of refused rows, which this page writes, can be corrected and
// chosen like any other: its two first columns are left out, and what protects its cells is removed.

import { type Batch, type Format, type Row, batches, preview } from './csv.ts';
import { normalizeHeader } from './mapping.ts';

/** The headers that a file of refused rows begins with. They are no aliases of a field. */
export const REFUSED_HEADERS = ['row', 'reason'];

export interface Source {
  file: File;
  format: Format;
  /** The names of the columns, without those of refused rows. */
  header: string[];
  firstRows: Row[];
  /** `true` for a file of refused rows. */
  isRefused: boolean;
}

/** Spreadsheet programs take such a cell for a formula, and run it. The apostrophes are those of earlier protection. */
export const FORMULA = /^'*[=+\-@\t\r]/u;

const PREVIEW_ROWS = 5;

/** Reads the start of a file. Throws a `FileError`. */
export async function openSource(file: File, format: Format): Promise<Source> {
  const { header, rows } = await preview(file, format, PREVIEW_ROWS);
  const isRefused = REFUSED_HEADERS.every((name, index) => normalizeHeader(header[index] ?? '') === name);
  const original = rows.map((row) => ({ ...row, cells: originalCells(row.cells, isRefused) }));
  return { file, format, header: originalCells(header, isRefused), firstRows: original, isRefused };
}

/** Reads the rows of a file, slice by slice. Throws a `FileError`. */
export async function* rowsOf({ file, format, isRefused }: Source): AsyncGenerator<Batch> {
  for await (const { rows, bytesRead } of batches(file, format)) {
    yield { rows: rows.map((row) => ({ ...row, cells: originalCells(row.cells, isRefused) })), bytesRead };
  }
}

/** The cells as they were before the row was refused. */
function originalCells(cells: string[], isRefused: boolean): string[] {
  if (!isRefused) return cells;
  const original = cells.slice(REFUSED_HEADERS.length);
  return original.map((cell) => (cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell));
}
