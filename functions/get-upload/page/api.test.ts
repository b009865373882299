import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ATTEMPTS, Api, ApiError, type Environment, baseUrl } from './api.ts';

/** An environment that returns these responses in turn, and records what it was asked for. */
function environment(...responses: (Response | 'no connection')[]) {
  const calls: { url: string; init: RequestInit }[] = [];
  const pauses: number[] = [];
  const fake: Environment = {
    fetch: (url, init = {}) => {
      calls.push({ url: String(url), init });
      const response = responses.shift();
      return response instanceof Response ? Promise.resolve(response) : Promise.reject(new TypeError('no connection'));
    },
    sleep: (duration) => {
      pauses.push(duration);
      return Promise.resolve();
    },
    random: () => 1,
  };
  return { api: new Api(new URL('https://api.example.com/v1/'), 'sk_test_example', fake), calls, pauses };
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const POST = { method: 'POST', path: 'imports/', body: { source: 'csv' }, headers: { 'Idempotency-Key': 'k' } };

test('a request has the key in a header and nowhere else', async () => {
  const { api, calls } = environment(json(201, { id: 1 }));
  assert.deepEqual(await api.send(POST), { id: 1 });
  assert.equal(calls[0]?.url, 'https://api.example.com/v1/imports/');
  assert.deepEqual(calls[0]?.init.headers, {
    'Idempotency-Key': 'k',
    'X-API-Key': 'sk_test_example',
    'Content-Type': 'application/json',
  });
  assert.equal(calls[0]?.init.credentials, 'omit');
});

test('what may pass is sent again with the same idempotency key, after the pause that the API asks for', async () => {
  const { api, calls, pauses } = environment(
    'no connection',
    json(429, { detail: 'Too many requests' }, { 'Retry-After': '7' }),
    json(503, { detail: 'Service temporarily unavailable, try again' }, { 'Retry-After': '2' }),
    json(409, { detail: 'A request with this Idempotency-Key is in progress' }, { 'Retry-After': '60' }),
    json(429, { message: 'Too Many Requests' }),
    new Response('<html>Bad gateway</html>', { status: 502 }),
    json(201, {}),
  );
  await api.send(POST);
  assert.deepEqual(pauses, [500, 7_000, 2_000, 60_000, 8_000, 16_000]);
  assert.deepEqual(new Set(calls.map(({ init }) => JSON.stringify([init.headers, init.body]))).size, 1);
});

test('the pause that the API asks for has a limit', async () => {
  const { api, pauses } = environment(json(429, {}, { 'Retry-After': '86400' }), json(201, {}));
  const asked: (number | undefined)[] = [];
  await api.withWait((pause, milliseconds) => (asked.push(milliseconds), pause)).send(POST);
  assert.deepEqual([pauses, asked], [[300_000], [300_000]]);
});

test('a connection that breaks in the middle of a response is a failed attempt', async () => {
  const broken = new Response(new ReadableStream({ pull: (controller) => controller.error(new TypeError('broken')) }));
  const { api, calls } = environment(broken, json(200, []));
  assert.deepEqual(await api.send(POST), []);
  assert.equal(calls.length, 2);
});

test('what fails for good is sent once', async () => {
  for (const status of [400, 401, 403, 404, 413, 415, 422, 500]) {
    const { api, calls } = environment(json(status, { detail: 'No.' }, { 'X-Request-ID': 'r-1' }));
    await assert.rejects(
      api.send(POST),
      (error) =>
        error instanceof ApiError && error.status === status && error.detail === 'No.' && error.requestId === 'r-1',
    );
    assert.equal(calls.length, 1);
  }
  const { api, calls } = environment(json(409, { detail: 'An organization can have at most 1000 active campaigns' }));
  await assert.rejects(api.send({ method: 'PUT', path: 'imports/1' }));
  assert.equal(calls.length, 1);
});

test('attempts are limited', async () => {
  const { api, calls } = environment();
  await assert.rejects(api.send(POST), (error) => error instanceof ApiError && error.status === 0);
  assert.equal(calls.length, ATTEMPTS);
});

test('a list is read to its end', async () => {
  const { api, calls } = environment(json(200, [1], { Link: '</v1/campaigns/?cursor=x>; rel="next"' }), json(200, [2]));
  assert.deepEqual(await api.list('campaigns/'), [1, 2]);
  assert.equal(calls[1]?.url, 'https://api.example.com/v1/campaigns/?cursor=x');
});

test('the base URL is that of the page, also below a stage', () => {
  for (const [page, base] of [
    ['https://api.example.com/upload', 'https://api.example.com/'],
    ['https://api.example.com/v1/upload/', 'https://api.example.com/v1/'],
    ['https://api.example.com/crm/v2/upload?x#y', 'https://api.example.com/crm/v2/'],
  ] as const) {
    assert.equal(baseUrl(page).href, base);
  }
});
