// The rows that were refused, as a file to correct and to choose again.

import Papa from 'papaparse';

import type { Row } from './csv.ts';
import { FORMULA, REFUSED_HEADERS, type Source, rowsOf } from './source.ts';

/** The reason of each refused row, by the number of the row. */
export type Reasons = ReadonlyMap<number, string>;

/**
 * Writes the refused rows as they are in the file, each after its number and its reason. These come first, so that a row with a wrong
 * number of cells keeps its form.
 *
 * A cell that a spreadsheet program would run as a formula gets an apostrophe before it, which shows it as text. It is removed when
 * the file is chosen again.
 */
export async function refusedFile(source: Source, reasons: Reasons): Promise<Blob> {
  const { delimiter } = source.format;
  const csv = (rows: string[][]): string =>
    `${Papa.unparse(rows, { delimiter, newline: '\r\n', escapeFormulae: FORMULA })}\r\n`;
  // The byte order mark tells spreadsheet programs that the file is UTF-8.
  const parts = ['\uFEFF', csv([[...REFUSED_HEADERS, ...source.header]])];
  for await (const { rows } of rowsOf(source)) {
    const refused = rows.flatMap(({ number, cells }: Row) => {
      const reason = reasons.get(number);
      return reason === undefined ? [] : [[String(number), reason, ...cells]];
    });
    if (refused.length > 0) parts.push(csv(refused));
  }
  return new Blob(parts, { type: 'text/csv;charset=utf-8' });
}

/** `leads.csv` becomes `leads.rejected.csv`, also after a second round. */
export function refusedName(name: string): string {
  return `${name.replace(/(\.rejected)?\.[^.]*$/u, '')}.rejected.csv`;
}
