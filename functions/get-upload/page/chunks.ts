// The rows of a file in portions that the API takes at once, several of them on the way at the same time.

import { newIdempotencyKey } from './api.ts';
import type { Batch, Row } from './csv.ts';
import type { Contact } from './mapping.ts';

/**
 * At most 1,000: so many invalid rows a report names. Fewer, so that the progress bar moves and the file is loaded by several calls
 * at the same time.
 */
export const CHUNK_ROWS = 500;
/** The API takes 4,000,000 bytes, and needs memory for all calls at the same time. */
const CHUNK_CHARS = 1_000_000;
/** One organization creates some 500 contacts per second; more calls would only wait for each other. */
const IN_FLIGHT = 4;

/** A row to send. */
export interface ContactRow {
  number: number;
  contact: Contact;
}

export interface Chunk {
  rows: ContactRow[];
  /** Shared by all attempts to send the chunk. */
  idempotencyKey: string;
  /** The bytes of the file that were read when the chunk was complete. */
  bytesRead: number;
}

/** Groups the rows that `select` returns a contact for. */
export async function* chunksOf(
  batches: AsyncIterable<Batch>,
  select: (row: Row) => Contact | undefined,
): AsyncGenerator<Chunk> {
  let rows: ContactRow[] = [];
  let chars = 0;
  let bytes = 0;
  for await (const batch of batches) {
    bytes = batch.bytesRead;
    for (const row of batch.rows) {
      const contact = select(row);
      if (!contact) continue;
      const length = JSON.stringify(contact).length;
      if (rows.length === CHUNK_ROWS || (rows.length > 0 && chars + length > CHUNK_CHARS)) {
        yield { rows, idempotencyKey: newIdempotencyKey(), bytesRead: bytes };
        [rows, chars] = [[], 0];
      }
      rows.push({ number: row.number, contact });
      chars += length;
    }
  }
  yield { rows, idempotencyKey: newIdempotencyKey(), bytesRead: bytes };
}

/**
 * Sends chunks, some at the same time, and hands over their results in the order of the file. An error of `send` or of the file
 * ends it.
 */
export async function sendInOrder<R>(
  chunks: AsyncIterable<Chunk>,
  send: (chunk: Chunk) => Promise<R>,
  receive: (chunk: Chunk, result: R) => void,
  inFlight = IN_FLIGHT,
): Promise<void> {
  const sent: { chunk: Chunk; result: Promise<R> }[] = [];
  const receiveFirst = async (): Promise<void> => {
    const first = sent.shift();
    if (first) receive(first.chunk, await first.result);
  };
  try {
    for await (const chunk of chunks) {
      if (chunk.rows.length === 0) continue;
      sent.push({ chunk, result: send(chunk) });
      if (sent.length === inFlight) await receiveFirst();
    }
    while (sent.length > 0) await receiveFirst();
  } catch (error) {
    // No result may be lost: what was sent is awaited before the end. The first error is the one to tell.
    await Promise.allSettled(sent.map(({ result }) => result));
    throw error;
  }
}
