// Loads the rows that passed the check, under one import.

import { ATTEMPTS, type Api, ApiError, newIdempotencyKey } from './api.ts';
import { ImportNotFound, type Outcome, sendChunk } from './bulk.ts';
import type { Check } from './check.ts';
import { type Chunk, chunksOf, sendInOrder } from './chunks.ts';
import type { Job } from './job.ts';
import { type Mapping, toContact } from './mapping.ts';
import { type Source, rowsOf } from './source.ts';

/** What was loaded. `created` + `updated` + `reasons.size` is the number of the file's rows. */
export interface Loaded {
  importId: string;
  created: number;
  updated: number;
  /** The reasons of the rows that were refused, by the check or while loading. */
  reasons: Map<number, string>;
}

/** Leads that linking the import to a campaign created, unless the campaign or the import was deleted meanwhile. */
export type Linked = { inserted_leads: number; excluded_contacts: number; isPartial: boolean } | 'deleted';

/** As long as calls reach their deadline, each one links some contacts more. In milliseconds. */
const LINK_LIMIT = 30 * 60_000;

/** Loads a checked file. `onProgress` is told the state after every chunk. Throws a `FileError`. */
export async function loadFile(
  job: Job,
  source: Source,
  mapping: Mapping,
  check: Check,
  onProgress: (loaded: Loaded) => void,
): Promise<Loaded> {
  const loaded: Loaded = {
    importId: await createImport(job, source, mapping, check.rows),
    created: 0,
    updated: 0,
    reasons: new Map(check.refused.map(({ number, reason }) => [number, reason])),
  };
  // A key of another organization would load the remaining rows there.
  job.onNewKey = (api) => setStatus(api, loaded.importId, 'processing');
  const send = (chunk: Chunk): Promise<Outcome> =>
    job.call((api) => sendChunk(api, chunk, { dryRun: false, importId: loaded.importId }));
  const receive = (_: Chunk, outcome: Outcome): void => {
    loaded.created += outcome.created;
    loaded.updated += outcome.updated;
    for (const { number, reason } of outcome.refused) loaded.reasons.set(number, reason);
    onProgress(loaded);
  };
  const isRefused = new Set(loaded.reasons.keys());
  const chunks = (repeated: boolean): AsyncIterable<Chunk> =>
    chunksOf(rowsOf(source), ({ number, cells }) =>
      isRefused.has(number) || check.repeated.has(number) !== repeated ? undefined : toContact(cells, mapping),
    );
  await finishImport(job, loaded.importId, async () => {
    await sendInOrder(chunks(false), send, receive);
    // Rows that repeat an email come last, one call at a time, so that the later row wins, as within one call.
    if (check.repeated.size > 0) await sendInOrder(chunks(true), send, receive, 1);
  });
  job.onNewKey = (api) => setStatus(api, loaded.importId, 'completed');
  return loaded;
}

/**
 * Links an import to a campaign. A large import takes several calls: one that reaches its deadline is a 503, and the next one goes
 * on. The API tells the numbers of the last call only; they are partial then.
 */
export async function linkImport(
  job: Job,
  importId: string,
  campaignId: string,
  now: () => number = () => performance.now(),
): Promise<Linked> {
  let isPartial = false;
  let failures = 0;
  let start = now();
  const mayRepeat = (error: ApiError): boolean => {
    // Without a response, the call may have linked contacts too; a 429 is sent before a call begins.
    isPartial ||= error.status !== 429;
    failures = error.status === 503 ? 0 : failures + 1;
    return failures < ATTEMPTS && now() - start < LINK_LIMIT;
  };
  const request = {
    method: 'POST',
    path: `campaign-imports/${campaignId}/imports`,
    body: { import_ids: [importId] },
    headers: { 'Idempotency-Key': newIdempotencyKey() },
    mayRepeat,
  };
  return job.call(async (api) => {
    [failures, start] = [0, now()];
    try {
      const counts = (await api.send(request)) as { inserted_leads: number; excluded_contacts: number };
      return { ...counts, isPartial };
    } catch (error) {
      // What was deleted meanwhile does not come back.
      if (error instanceof ApiError && error.status === 404) return 'deleted';
      throw error;
    }
  });
}

async function createImport(job: Job, { file, header }: Source, mapping: Mapping, rows: number): Promise<string> {
  const fields = [...mapping].map(([field, index]) => [(header[index] ?? '').trim(), field]);
  const body = {
    source: 'csv',
    file_name: file.name.replace(/\p{Cc}/gu, '').slice(0, 255),
    status: 'processing',
    total_rows: rows,
    mapping_json: Object.fromEntries(fields),
  };
  const headers = { 'Idempotency-Key': newIdempotencyKey() };
  const created = await job.call((api) => api.send({ method: 'POST', path: 'imports/', body, headers }));
  return (created as { id: string }).id;
}

/** Does the work of an import and records how it ended. */
async function finishImport(job: Job, importId: string, work: () => Promise<void>): Promise<void> {
  const finish = (status: string): Promise<void> => job.call((api) => setStatus(api, importId, status));
  try {
    await work();
  } catch (error) {
    await finish('failed');
    throw error;
  }
  await finish('completed');
}

/** Throws an `ImportNotFound` if the import was deleted, or belongs to another organization than the key. */
async function setStatus(api: Api, importId: string, status: string): Promise<void> {
  try {
    await api.send({ method: 'PUT', path: `imports/${importId}`, body: { status } });
  } catch (error) {
    throw error instanceof ApiError && error.status === 404 ? new ImportNotFound() : error;
  }
}
