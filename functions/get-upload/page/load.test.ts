import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Api, type ApiError, type Environment } from './api.ts';
import { ImportNotFound } from './bulk.ts';
import { checkFile } from './check.ts';
import { CHUNK_ROWS, chunksOf, sendInOrder } from './chunks.ts';
import { Job, Stopped } from './job.ts';
import { Latest } from './latest.ts';
import { linkImport, loadFile } from './load.ts';
import { autoMap } from './mapping.ts';
import { Stopwatch, duration, pace, waitText } from './progress.ts';
import { refusedFile, refusedName } from './refused.ts';
import { openSource } from './source.ts';

interface Call {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Record<string, string>[] & Record<string, unknown>;
}

/** An API that keeps contacts by email, and refuses rows without an `@`. `intervene` may respond in its place. */
class FakeApi {
  readonly calls: Call[] = [];
  readonly contacts = new Map<string, Record<string, string>>();
  intervene: (call: Call) => Response | undefined = () => undefined;

  readonly environment: Environment = {
    fetch: async (url, init = {}) => {
      const { pathname, search } = new URL(String(url));
      const call = {
        method: init.method ?? 'GET',
        path: pathname + search,
        headers: init.headers as Record<string, string>,
        body: JSON.parse(String(init.body)),
      };
      this.calls.push(call);
      return this.intervene(call) ?? this.respond(call);
    },
    sleep: () => Promise.resolve(),
    random: () => 0,
  };

  private respond({ path, body }: Call): Response {
    if (!path.startsWith('/contacts/bulk')) return Response.json({ id: 'import-1' });
    const report = { details: [] as unknown[], created: 0, updated: 0, skipped: [] as unknown[] };
    const seen = new Set<string>();
    body.forEach((row, index) => {
      const email = row.email?.toLowerCase() ?? '';
      if (!email.includes('@')) {
        report.skipped.push({ row: index + 1, email, detail: 'Validation error: email must be a valid email address' });
        return;
      }
      const isNew = !this.contacts.has(email) && !seen.has(email);
      report.details.push({ id: isNew && path.includes('dry_run') ? null : 'contact', email });
      isNew ? (report.created += 1) : (report.updated += 1);
      seen.add(email);
      if (!path.includes('dry_run')) this.contacts.set(email, { ...this.contacts.get(email), ...row });
    });
    return Response.json(report);
  }

  /** The emails of the rows that were sent, without those of dry runs. */
  get loadedEmails(): (string | undefined)[] {
    const loads = this.calls.filter(({ path }) => path === '/contacts/bulk?on_error=skip');
    return loads.flatMap(({ body }) => body.map(({ email }) => email));
  }
}

const clientOf = (api: FakeApi, key = 'k') => new Api(new URL('https://api.example.com/'), key, api.environment);

function jobOf(api: FakeApi, onFailure: (job: Job) => void = () => assert.fail('the job failed')): Job {
  const client = clientOf(api);
  const job: Job = new Job(
    () => client,
    () => onFailure(job),
  );
  return job;
}

const HEADER = 'email,full_name,linkedin_profile,company';
const source = (...rows: string[]) =>
  openSource(new File([[HEADER, ...rows].join('\n')], 'leads.csv'), { encoding: 'utf-8', delimiter: ',' });
const row = (email: string, company = '') => `${email},Jane Doe,in/janedoe,${company}`;

async function checkAndLoad(job: Job, file: Awaited<ReturnType<typeof source>>) {
  const mapping = autoMap(file.header);
  const check = await checkFile(job, file, mapping, () => {});
  return { check, loaded: await loadFile(job, file, mapping, check, () => {}) };
}

test('every row is created, updated or refused, and the counts sum to the rows', async () => {
  const api = new FakeApi();
  api.contacts.set('known@example.com', {});
  const emails = Array.from({ length: 2 * CHUNK_ROWS }, (_, index) =>
    index % 100 === 7 ? 'bad' : `jane${index}@example.com`,
  );
  const file = await source(
    row('known@example.com'),
    ...emails.map((email) => row(email)),
    'too,few',
    row('JANE0@example.com', 'Acme'),
  );

  const { check, loaded } = await checkAndLoad(jobOf(api), file);

  const { rows, created, updated, refused, repeated } = check;
  assert.deepEqual([rows, created, updated, refused.length], [1003, 990, 2, 11]);
  assert.deepEqual(refused.at(0), { number: 9, email: 'bad', reason: 'email must be a valid email address' });
  assert.deepEqual(refused.at(-1), { number: 1002, email: null, reason: 'has 2 columns instead of 4' });
  assert.deepEqual([...repeated], [[1003, 2]]);
  assert.deepEqual([loaded.created, loaded.updated, loaded.reasons.size], [990, 2, 11]);
});

test('a row that repeats an email is loaded after all others, so that it wins', async () => {
  const api = new FakeApi();
  const others = Array.from({ length: CHUNK_ROWS }, (_, index) => row(`jane${index}@example.com`));
  const { loaded } = await checkAndLoad(
    jobOf(api),
    await source(
      row('a@example.com', 'First'),
      row('a@example.com', 'Second'),
      ...others,
      row('a@example.com', 'Last'),
    ),
  );
  assert.deepEqual(api.loadedEmails.slice(-2), ['a@example.com', 'a@example.com']);
  assert.equal(api.contacts.get('a@example.com')?.company, 'Last');
  assert.deepEqual([loaded.created, loaded.updated], [501, 2]);
});

test('an import is created before the rows and completed after them', async () => {
  const api = new FakeApi();
  const text = 'Correo; Nombre ;LinkedIn;Notes\na@example.com;Jane Doe;in/janedoe;\nbad;Jane Doe;in/janedoe;\n';
  const file = await openSource(new File([text], 'leads.csv'), { encoding: 'utf-8', delimiter: ';' });
  await checkAndLoad(jobOf(api), file);
  const [create, load, complete] = api.calls.slice(1);
  assert.deepEqual([create?.method, create?.path], ['POST', '/imports/']);
  assert.deepEqual(create?.body, {
    source: 'csv',
    file_name: 'leads.csv',
    status: 'processing',
    total_rows: 2,
    mapping_json: { Nombre: 'full_name', Correo: 'email', LinkedIn: 'linkedin_profile' },
  });
  assert.ok(create?.headers['Idempotency-Key']);
  assert.equal(load?.headers['X-Import-ID'], 'import-1');
  assert.deepEqual(
    [complete?.method, complete?.path, complete?.body],
    ['PUT', '/imports/import-1', { status: 'completed' }],
  );
});

test('a failure pauses the job, and the same chunk is sent again with its key', async () => {
  const api = new FakeApi();
  let failures = 2;
  api.intervene = ({ path }) =>
    path === '/contacts/bulk?on_error=skip' && failures-- > 0
      ? Response.json({ detail: 'No.' }, { status: 401 })
      : undefined;
  let pauses = 0;
  const job = jobOf(api, (paused) => {
    pauses += 1;
    assert.ok(paused.isPaused);
    setImmediate(() => paused.resume());
  });
  const { loaded } = await checkAndLoad(job, await source(row('a@example.com')));
  const keys = api.calls
    .filter(({ path }) => path === '/contacts/bulk?on_error=skip')
    .map(({ headers }) => headers['Idempotency-Key']);
  assert.deepEqual([pauses, keys.length, new Set(keys).size], [2, 3, 1]);
  assert.deepEqual([loaded.created, loaded.reasons.size], [1, 0]);
});

test('another key sends no rows before the import is found with it', async () => {
  const api = new FakeApi();
  const [first, other] = [clientOf(api, 'sk_first'), clientOf(api, 'sk_other')];
  let client = first;
  api.intervene = ({ method, path, headers }) => {
    if (path === '/imports/') client = other;
    return method === 'PUT' && headers['X-API-Key'] === 'sk_other'
      ? Response.json({ detail: 'Import not found' }, { status: 404 })
      : undefined;
  };
  let pauses = 0;
  const job: Job = new Job(
    () => client,
    (error) => {
      pauses += 1;
      assert.ok(error instanceof ImportNotFound);
      client = first;
      setImmediate(() => job.resume());
    },
  );
  await checkAndLoad(job, await source(row('a@example.com')));
  const senders = api.calls
    .filter(({ path }) => path === '/contacts/bulk?on_error=skip')
    .map(({ headers }) => headers['X-API-Key']);
  assert.deepEqual([pauses, senders], [1, ['sk_first']]);
});

test('an import that is unknown pauses the load', async () => {
  const unknown = {
    // The rows were written without the import.
    'POST /contacts/bulk?on_error=skip': Response.json(
      { details: [], created: 0, updated: 0, skipped: [], warning: 'import not found' },
      { status: 207 },
    ),
    'PUT /imports/import-1': Response.json({ detail: 'Import not found' }, { status: 404 }),
  };
  for (const [request, response] of Object.entries(unknown)) {
    const api = new FakeApi();
    let failures = 1;
    api.intervene = ({ method, path }) => (`${method} ${path}` === request && failures-- > 0 ? response : undefined);
    const pauses: ApiError[] = [];
    const client = clientOf(api);
    const job: Job = new Job(
      () => client,
      (error) => {
        pauses.push(error);
        setImmediate(() => job.resume());
      },
    );
    const { loaded } = await checkAndLoad(job, await source(row('a@example.com')));
    assert.ok(pauses.length === 1 && pauses[0] instanceof ImportNotFound, request);
    assert.equal(loaded.created, 1, request);
  }
});

test('a chunk that is too much is sent in halves, and a row that is too much is refused', async () => {
  const api = new FakeApi();
  const isBig = ({ email }: Record<string, string>) => email === 'big@example.com';
  api.intervene = ({ path, body }) =>
    path.startsWith('/contacts/bulk') && body.some(isBig)
      ? Response.json({ detail: 'Validation error: body is too much' }, { status: 400 })
      : undefined;
  const { check, loaded } = await checkAndLoad(
    jobOf(api),
    await source(row('a@example.com'), row('b@example.com'), row('big@example.com'), row('c@example.com')),
  );
  assert.deepEqual(check.refused, [{ number: 3, email: null, reason: 'body is too much' }]);
  assert.deepEqual([loaded.created, loaded.reasons.size], [3, 1]);
});

test('a row that is refused only when it is loaded is counted once', async () => {
  const api = new FakeApi();
  api.intervene = ({ path }) =>
    path === '/contacts/bulk?on_error=skip'
      ? Response.json({
          details: [],
          created: 0,
          updated: 0,
          skipped: [{ row: 1, email: null, detail: 'Validation error: metadata would grow' }],
        })
      : undefined;
  const { loaded } = await checkAndLoad(jobOf(api), await source(row('a@example.com')));
  assert.deepEqual([loaded.created, loaded.updated, [...loaded.reasons]], [0, 0, [[1, 'metadata would grow']]]);
});

test('a paused job sends nothing until it is resumed', async () => {
  const api = new FakeApi();
  const job = jobOf(api);
  job.pause();
  const done = job.call((client) => client.send({ method: 'POST', path: 'imports/', body: {} }));
  await new Promise(setImmediate);
  assert.equal(api.calls.length, 0);
  job.resume();
  await done;
  assert.equal(api.calls.length, 1);
});

test('a pause that the API asks for is told, and ends when the job is paused or stopped', async () => {
  for (const end of ['pause', 'stop'] as const) {
    const api = new FakeApi();
    let failures = 1;
    api.intervene = () =>
      failures-- > 0 ? Response.json({}, { status: 429, headers: { 'Retry-After': '61' } }) : undefined;
    // The pause itself never ends.
    const environment = { ...api.environment, sleep: () => new Promise<void>(() => {}) };
    const client = new Api(new URL('https://api.example.com/'), 'k', environment);
    const waits: (string | undefined)[] = [];
    const job: Job = new Job(
      () => client,
      () => assert.fail('the job failed'),
      (wait) => {
        waits.push(waitText(wait));
        if (wait !== undefined) job[end]();
      },
    );
    const done = job.call((current) => current.send({ method: 'PUT', path: 'imports/1', body: {} }));
    if (end === 'stop') await assert.rejects(done, Stopped);
    else {
      while (!job.isPaused) await new Promise(setImmediate);
      await new Promise(setImmediate);
      assert.equal(api.calls.length, 1);
      job.resume();
      await done;
      assert.equal(api.calls.length, 2);
    }
    assert.deepEqual(waits, ['The API asks to wait 1 min 1 s.', undefined]);
  }
});

test('an import is linked as long as calls reach their deadline, and says that its numbers are partial', async () => {
  const api = new FakeApi();
  const counts = { inserted_leads: 3, excluded_contacts: 40_000 };
  let responses = 0;
  let status = 503;
  api.intervene = () => (responses-- > 0 ? Response.json({}, { status }) : Response.json(counts));
  const link = async (clock: () => number = () => 0) => {
    let pauses = 0;
    const job = jobOf(api, (paused) => {
      pauses += 1;
      setImmediate(() => paused.resume());
    });
    const before = api.calls.length;
    const linked = await linkImport(job, 'import-1', 'campaign-1', clock);
    return { linked, pauses, calls: api.calls.length - before };
  };
  assert.deepEqual(await link(), { linked: { ...counts, isPartial: false }, pauses: 0, calls: 1 });
  responses = 20;
  assert.deepEqual(await link(), { linked: { ...counts, isPartial: true }, pauses: 0, calls: 21 });
  responses = 3;
  let minutes = 0;
  const clock = () => 60_000 * (minutes += 12);
  assert.deepEqual(await link(clock), { linked: { ...counts, isPartial: true }, pauses: 1, calls: 4 });
  [responses, status] = [8, 429];
  assert.deepEqual(await link(), { linked: { ...counts, isPartial: false }, pauses: 1, calls: 9 });
});

test('chunks have at most the rows and characters of a call', async () => {
  const rows = Array.from({ length: CHUNK_ROWS + 1 }, (_, index) => ({ number: index + 1, cells: ['x'] }));
  const sizes = async (cell: string) => {
    const batches = (async function* () {
      yield { rows, bytesRead: 1 };
    })();
    const found: number[] = [];
    for await (const chunk of chunksOf(batches, () => ({ metadata: cell }))) found.push(chunk.rows.length);
    return found;
  };
  assert.deepEqual(await sizes('x'), [CHUNK_ROWS, 1]);
  assert.deepEqual((await sizes('x'.repeat(300_000))).slice(0, 2), [3, 3]);
});

test('chunks are sent some at a time, and received in order', async () => {
  const chunks = (async function* () {
    for (let number = 1; number <= 6; number += 1)
      yield { rows: [{ number, contact: {} }], idempotencyKey: '', bytesRead: number };
  })();
  let running = 0;
  let most = 0;
  const received: number[] = [];
  await sendInOrder(
    chunks,
    async (chunk) => {
      most = Math.max(most, (running += 1));
      // Later chunks are done first.
      for (let turn = chunk.bytesRead; turn < 12; turn += 1) await new Promise(setImmediate);
      running -= 1;
    },
    (chunk) => received.push(chunk.bytesRead),
    3,
  );
  assert.deepEqual([most, received], [3, [1, 2, 3, 4, 5, 6]]);
});

test('refused rows can be corrected and chosen again, and are no formulas meanwhile', async () => {
  const cells = ['=1+1', "'=2", '+34 600', '-x', '@y', '\ttab', 'plain', "it's", "'quoted'", 'a "b", c', 'two\nlines'];
  const file = await openSource(
    new File(
      ['h1;=h2\nshort\n', `"${cells.map((cell) => cell.replaceAll('"', '""')).join('";"')}"\ngood;x\n`],
      'leads.csv',
    ),
    { encoding: 'utf-8', delimiter: ';' },
  );
  const reasons = new Map([
    [1, 'has 1 column instead of 2'],
    [2, '=bad'],
  ]);

  const blob = await refusedFile(file, reasons);

  const text = await blob.text();
  const start = `row;reason;h1;"'=h2"\r\n1;has 1 column instead of 2;short\r\n2;"'=bad";"'=1+1";"''=2";"'+34 600";"'-x";"'@y";`;
  assert.equal(text.slice(0, start.length), start);
  const again = await openSource(new File([blob], refusedName(file.file.name)), file.format);
  assert.equal(again.file.name, 'leads.rejected.csv');
  assert.deepEqual(again.header, ['h1', '=h2']);
  assert.deepEqual(again.firstRows, [
    { number: 1, cells: ['short'] },
    { number: 2, cells },
  ]);
  const twice = await refusedFile(again, reasons);
  assert.equal(await twice.text(), text);
  assert.equal(refusedName(again.file.name), 'leads.rejected.csv');
});

test('only the latest of several calls counts', () => {
  const latest = new Latest();
  const first = latest.begin();
  assert.ok(first());
  const second = latest.begin();
  assert.deepEqual([first(), second()], [false, true]);
});

test('pauses do not count as time of work', () => {
  let now = 0;
  const stopwatch = new Stopwatch(() => now);
  stopwatch.run();
  now = 2_000;
  stopwatch.pause();
  now = 9_000;
  stopwatch.run();
  now = 10_000;
  assert.equal(stopwatch.milliseconds(), 3_000);
  assert.deepEqual(pace(300, 1_000, 3_000), { perSecond: 100, secondsLeft: 7 });
  assert.equal(pace(0, 1_000, 3_000), undefined);
  assert.deepEqual([6.2, 61, 3_700].map(duration), ['7 s', '1 min 1 s', '1 h 1 min']);
});
