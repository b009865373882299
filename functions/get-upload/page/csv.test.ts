import assert from 'node:assert/strict';
import { test } from 'node:test';

import vectors from '../../../shared/csv-import/vectors.json' with { type: 'json' };
import { type Row, batches, detectDelimiter, isBlank, preview } from './csv.ts';
import { type Encoding, FileError, MixedEncoding, detectEncoding } from './encoding.ts';

const SLICE = 256 * 1024;

async function read(file: Blob, delimiter = ',', encoding: Encoding = 'utf-8'): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of batches(file, { encoding, delimiter })) rows.push(...batch.rows);
  return rows;
}

const cellsOf = async (text: string, delimiter = ',') =>
  (await read(new Blob([text]), delimiter)).map(({ cells }) => cells);

test('quotes, line breaks and blank lines are read as spreadsheets write them', async () => {
  assert.deepEqual(await cellsOf('a,b\r\n"x, ""y""",1\r\n\r\n,\r\n"two\r\nlines",2\n3,\r4,5'), [
    ['x, "y"', '1'],
    ['two\nlines', '2'],
    ['3', ''],
    ['4', '5'],
  ]);
});

test('rows are counted from 1, without the header and blank lines', async () => {
  const rows = await read(new Blob(['\n\nemail\n\na\n\nb\n']));
  assert.deepEqual(rows, [
    { number: 1, cells: ['a'] },
    { number: 2, cells: ['b'] },
  ]);
});

test('a file of many slices is read as a whole, wherever a slice ends', async () => {
  const row = 'Jané,"a ""quoted"" cell\r\nof two lines",3\r\n';
  const bytes = new TextEncoder().encode(row).length;
  for (const shift of Array.from({ length: bytes }, (_, index) => index)) {
    const header = `${'h'.repeat(shift + 1)},b,c\r\n`;
    const count = Math.ceil(SLICE / bytes) + 1;
    const rows = await read(new Blob([header, row.repeat(count)]));
    assert.equal(rows.length, count);
    for (const { cells } of rows) assert.deepEqual(cells, ['Jané', 'a "quoted" cell\nof two lines', '3']);
  }
});

test('a quote that is not closed, and text after one, are errors with their line', async () => {
  const unclosed = 'email\na\n"b\nc\n';
  await assert.rejects(read(new Blob([unclosed])), { message: /^Line 3 .* never closed/u });
  await assert.rejects(read(new Blob(['email\na\n"b" c\nd\n'])), { message: /^Line 3 .* text follows/u });
  const long = new Blob([unclosed, 'x\n'.repeat(2_000_000)]);
  await assert.rejects(read(long), { message: /^Line 3 .* never closed/u });
});

test('delimiters are detected', async () => {
  const cases: [string, string][] = [
    ['email,name\na@example.com,Jane\n', ','],
    ['email;name\na@example.com;Doe, Jane\nb@example.com;Doe, John\n', ';'],
    ['email\tname\na@example.com\tJane\n', '\t'],
    ['email|name\na@example.com|Jane\n', '|'],
    ['email\na@example.com\n', ','],
  ];
  for (const [text, delimiter] of cases)
    assert.equal(await detectDelimiter(new Blob([text]), 'utf-8'), delimiter, text);
});

test('encodings are detected and decoded', async () => {
  // Without the characters from 0x80 to 0x9F, which Node.js 20 reads as ISO-8859-1. The browser tests have one.
  const text = 'correo;nombre\njané@example.com;Jané Doñe\n';
  const utf16 = Buffer.from(text, 'utf16le');
  const latin = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const files: [Encoding, Uint8Array[]][] = [
    ['utf-8', [Buffer.from(text)]],
    ['utf-8', [Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]],
    ['utf-16le', [Buffer.from([0xff, 0xfe]), utf16]],
    ['utf-16le', [utf16]],
    ['utf-16be', [Buffer.from([0xfe, 0xff]), Buffer.from(utf16).swap16()]],
    ['utf-16be', [Buffer.from(utf16).swap16()]],
    ['windows-1252', [latin]],
  ];
  for (const [encoding, parts] of files) {
    const file = new Blob(parts as Uint8Array<ArrayBuffer>[]);
    assert.equal(await detectEncoding(file), encoding);
    const { header, rows } = await preview(file, { encoding, delimiter: ';' }, 5);
    assert.deepEqual(header, ['correo', 'nombre']);
    assert.deepEqual(rows[0]?.cells, ['jané@example.com', 'Jané Doñe']);
  }
});

test('encodings are detected as in the shared vectors', async () => {
  assert.ok(vectors.encodings.length > 10);
  for (const { name, hex, encoding, invalid_line: line } of vectors.encodings) {
    const found = detectEncoding(new Blob([Buffer.from(hex, 'hex')]));
    if (encoding !== undefined) assert.equal(await found, encoding, name);
    else await assert.rejects(found, (error) => error instanceof MixedEncoding && error.line === line, name);
  }
});

test('a file that is UTF-8 but for one byte is refused, wherever its slices end', async () => {
  for (const length of [SLICE - 1, SLICE, SLICE + 1]) {
    const file = new Blob(['é\n', 'a'.repeat(length - 4), '\né', Uint8Array.of(0xe9, 0x0a)]);
    await assert.rejects(detectEncoding(file), { message: /^Line 3 of the file is not UTF-8/u });
  }
});

test('the encoding is that of the whole file, not of its start', async () => {
  const file = new Blob(['email\n', 'a\n'.repeat(SLICE), Uint8Array.of(0xe9, 0x0a)]);
  assert.equal(await detectEncoding(file), 'windows-1252');
});

test('what is no text is refused with what to do', async () => {
  const cases: [BlobPart, RegExp][] = [
    ['', /empty/u],
    ['PK\u0003\u0004rest', /workbook.*CSV UTF-8/u],
    ['\u0001\u0000\u0002\u0003\u0004\u0005\u0006\u0007\u0008', /not a text file/u],
  ];
  for (const [content, message] of cases) {
    await assert.rejects(
      detectEncoding(new Blob([content])),
      (error) => error instanceof FileError && message.test(error.message),
    );
  }
  await assert.rejects(preview(new Blob(['\n \n']), { encoding: 'utf-8', delimiter: ',' }, 5), {
    message: /no header/u,
  });
  await assert.rejects(read(new Blob([Uint8Array.of(0xe9)])), { message: /not UTF-8 text/u });
});

test('blank is what the API takes for blank', () => {
  for (const blank of [
    '',
    ' \t\r\n',
    '\u00a0',
    '\u200b',
    '\u200c\u200d',
    '\u200e\u200f',
    '\u061c',
    '\u2060',
    '\ufeff',
    '\u202e\u2069',
    '\u3000',
    '\u0085',
  ]) {
    assert.ok(isBlank(blank), JSON.stringify(blank));
  }
  for (const visible of ['a', '.', '\u0000', '\ufffd', ' a ']) assert.ok(!isBlank(visible), JSON.stringify(visible));
});
