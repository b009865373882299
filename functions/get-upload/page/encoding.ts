// The character encoding of a file.

/** The labels of the encodings, as `TextDecoder` takes them. */
export const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** A file that cannot be read. The message says what to do, and is shown as it is. */
export class FileError extends Error {}

/** A part of the file is UTF-8 and another one is not: the encoding can be chosen only by a person. */
export class MixedEncoding extends FileError {
  constructor(readonly line: number) {
    super(`Line ${line} of the file is not UTF-8, but other parts are. Correct that line, or choose the encoding of the file.`);
  }
}

/** The bytes that are read at once. A parsed slice blocks the page for some milliseconds. */
const SLICE_BYTES = 256 * 1024;

const BYTE_ORDER_MARKS: [Encoding, number[]][] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
];

/** The first bytes of files that spreadsheet programs write instead of text: a ZIP archive, and the older compound file. */
const WORKBOOKS = [
  [0x50, 0x4b, 0x03, 0x04],
  [0xd0, 0xcf, 0x11, 0xe0],
];

/** Reads a file slice by slice, so that its size does not matter. */
export async function* slices(file: Blob): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < file.size; start += SLICE_BYTES) {
    yield new Uint8Array(await readSlice(file.slice(start, start + SLICE_BYTES)));
  }
}

/** A browser refuses to read a file that was changed or removed after it was chosen. */
async function readSlice(slice: Blob): Promise<ArrayBuffer> {
  try {
    return await slice.arrayBuffer();
  } catch {
    throw new FileError('The file can no longer be read: it was changed, moved or removed. Choose it again.');
  }
}

/**
 * Finds the encoding of a file: its byte order mark; UTF-16 by its zero bytes; UTF-8 if all of the file is valid UTF-8, which text
 * in another encoding practically never is; Windows-1252 if no part of it is, beyond ASCII. Throws a `MixedEncoding` otherwise.
 */
export async function detectEncoding(file: Blob): Promise<Encoding> {
  const start = new Uint8Array(await readSlice(file.slice(0, SLICE_BYTES)));
  if (start.length === 0) throw new FileError('The file is empty. Choose another one.');
  if (WORKBOOKS.some((signature) => startsWith(start, signature))) {
    throw new FileError('This is a workbook, not a CSV file. Save it as “CSV UTF-8” in your spreadsheet program.');
  }
  const marked = BYTE_ORDER_MARKS.find(([, mark]) => startsWith(start, mark));
  if (marked) return marked[0];
  const utf16 = utf16WithoutMark(start);
  if (utf16) return utf16;
  // A single zero byte is a mistake in a row, which the API refuses.
  if (zeroBytes(start) > start.length / 100) throw new FileError('This is not a text file. Choose a CSV file.');
  if (await isUtf8(file)) return 'utf-8';
  const { invalidLine, hasValid } = await scanUtf8(file);
  if (hasValid) throw new MixedEncoding(invalidLine);
  return 'windows-1252';
}

function startsWith(bytes: Uint8Array, prefix: number[]): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}

function zeroBytes(bytes: Uint8Array): number {
  return bytes.reduce((count, byte) => (byte === 0 ? count + 1 : count), 0);
}

/** UTF-16 has a zero byte in every character of a western text, always on the same side. */
function utf16WithoutMark(bytes: Uint8Array): Encoding | undefined {
  const even = zeroBytes(bytes.filter((_, index) => index % 2 === 0));
  const odd = zeroBytes(bytes.filter((_, index) => index % 2 === 1));
  const many = bytes.length / 8;
  if (odd > many && even < many / 8) return 'utf-16le';
  if (even > many && odd < many / 8) return 'utf-16be';
  return undefined;
}

async function isUtf8(file: Blob): Promise<boolean> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const slice of slices(file)) decoder.decode(slice, { stream: true });
    decoder.decode();
    return true;
  } catch (error) {
    if (error instanceof FileError) throw error;
    return false;
  }
}

/** The line of the first byte that is not UTF-8 in a file that has one, and whether some characters beyond ASCII are. */
async function scanUtf8(file: Blob): Promise<{ invalidLine: number; hasValid: boolean }> {
  // Each invalid sequence becomes a replacement character.
  const decoder = new TextDecoder('utf-8');
  let line = 1;
  let invalidLine: number | undefined;
  let hasValid = false;
  const add = (text: string): void => {
    const invalid = text.indexOf('\uFFFD');
    if (invalid !== -1) invalidLine ??= line + lineFeeds(text.slice(0, invalid));
    line += lineFeeds(text);
    hasValid ||= /[^\u0000-\u007F\uFFFD]/u.test(text);
  };
  for await (const slice of slices(file)) add(decoder.decode(slice, { stream: true }));
  add(decoder.decode());
  return { invalidLine: invalidLine ?? line, hasValid };
}

function lineFeeds(text: string): number {
  return text.split('\n').length - 1;
}
