// The rows of a CSV file, read slice by slice: a file of any size takes the memory of one slice.

import Papa from 'papaparse';

import { type Encoding, FileError, slices } from './encoding.ts';

/** How a file is read. */
export interface Format {
  encoding: Encoding;
  delimiter: string;
}

/** A row that is not blank. */
export interface Row {
  /** From 1, as the API counts: without the header and without blank lines. */
  number: number;
  cells: string[];
}

/** The rows of a slice. */
export interface Batch {
  rows: Row[];
  /** The bytes of the file that have been read. */
  bytesRead: number;
}

export const DELIMITERS = [',', ';', '\t', '|'] as const;

/** A row of this many characters is a quote that was never closed. */
const MAX_ROW_CHARS = 2_000_000;
/** The characters from which the delimiter is guessed. */
const SAMPLE_CHARS = 64 * 1024;

/** `true` for text without a visible character, by the rule of the API: such a cell counts as not sent. */
export function isBlank(text: string): boolean {
  return /^[\s\u0085\u061C\u200B-\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF]*$/u.test(text);
}

/** Guesses the delimiter from the first lines. A file of one column is read as comma-separated. */
export async function detectDelimiter(file: Blob, encoding: Encoding): Promise<string> {
  for await (const { text } of texts(file, encoding)) {
    const sample = text.slice(0, SAMPLE_CHARS);
    const guess = Papa.parse(sample, {
      preview: 10,
      newline: '\n',
      delimitersToGuess: [...DELIMITERS],
      skipEmptyLines: true,
    });
    return guess.meta.delimiter;
  }
  return DELIMITERS[0];
}

/** Reads the header and the first rows. */
export async function preview(file: Blob, format: Format, count: number): Promise<{ header: string[]; rows: Row[] }> {
  const [header, rows] = [await readHeader(file, format), [] as Row[]];
  for await (const batch of batches(file, format)) {
    rows.push(...batch.rows.slice(0, count - rows.length));
    if (rows.length === count) break;
  }
  return { header, rows };
}

async function readHeader(file: Blob, format: Format): Promise<string[]> {
  for await (const { records } of recordsOf(file, format)) {
    const header = records.find((cells) => !cells.every(isBlank));
    if (header) return header.map((cell) => cell.replace(/^\uFEFF+/, ''));
  }
  throw new FileError('The file has no header: its first row has to name the columns.');
}

/** Reads the rows after the header. */
export async function* batches(file: Blob, format: Format): AsyncGenerator<Batch> {
  let number = -1;
  for await (const { records, bytesRead } of recordsOf(file, format)) {
    const rows: Row[] = [];
    for (const cells of records) {
      if (cells.every(isBlank)) continue;
      number += 1;
      if (number > 0) rows.push({ number, cells });
    }
    yield { rows, bytesRead };
  }
}

/** Parses the text of each slice up to its last whole record; the rest is parsed again with the next slice. */
async function* recordsOf(
  file: Blob,
  { encoding, delimiter }: Format,
): AsyncGenerator<{ records: string[][]; bytesRead: number }> {
  const parser = new Papa.Parser({ delimiter, newline: '\n' });
  let rest = '';
  let line = 1;
  for await (const { text, bytesRead, isLast } of texts(file, encoding)) {
    const input = rest + text;
    const { data, errors, meta } = parser.parse(input, 0, !isLast) as Papa.ParseResult<string[]>;
    // An error in a record that goes on in the next slice may not be one.
    const error = errors.find(({ row }) => isLast || (row ?? 0) < data.length);
    if (error) throw quoteError(error, line + lineBreaks(input.slice(0, error.index)));
    const end = isLast ? input.length : meta.cursor;
    line += lineBreaks(input.slice(0, end));
    rest = input.slice(end);
    if (rest.length > MAX_ROW_CHARS) throw quoteError({ code: 'MissingQuotes' }, line);
    yield { records: data, bytesRead };
  }
}

function quoteError({ code }: Pick<Papa.ParseError, 'code'>, line: number): FileError {
  const problem =
    code === 'MissingQuotes' ? 'a quotation mark is opened and never closed' : 'text follows a closing quotation mark';
  return new FileError(`Line ${line} of the file: ${problem}. Correct the line and choose the file again.`);
}

function lineBreaks(text: string): number {
  return text.split('\n').length - 1;
}

/** Decodes a file, with `\n` for each of its line breaks. */
async function* texts(
  file: Blob,
  encoding: Encoding,
): AsyncGenerator<{ text: string; bytesRead: number; isLast: boolean }> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let bytesRead = 0;
  let held = '';
  for await (const slice of slices(file)) {
    bytesRead += slice.length;
    const isLast = bytesRead >= file.size;
    const text = held + decode(decoder, slice, isLast, encoding);
    // The second half of a CRLF may be in the next slice.
    held = !isLast && text.endsWith('\r') ? '\r' : '';
    yield { text: text.slice(0, text.length - held.length).replace(/\r\n?/g, '\n'), bytesRead, isLast };
  }
}

function decode(decoder: TextDecoder, slice: Uint8Array<ArrayBuffer>, isLast: boolean, encoding: Encoding): string {
  try {
    return decoder.decode(slice, { stream: !isLast });
  } catch {
    throw new FileError(`The file is not ${encoding.toUpperCase()} text. Choose another encoding.`);
  }
}
