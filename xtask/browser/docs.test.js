// The reference of the API in a browser.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { accessibilityViolations, session, withPage } from './browser.js';

const [org] = session.orgs;

/** The operations of the description, as the page lists them. */
async function operations() {
  const description = await (await fetch(`${session.base_url}/openapi.json`)).json();
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary }]) => ({ method: method.toUpperCase(), path, summary })),
  );
  assert.ok(operations.length > 20, 'the description has operations');
  return operations;
}

async function listed(page) {
  await page.locator('.opblock').first().waitFor();
  const text = async (block, selector) => (await block.locator(selector).innerText()).replaceAll('\u200b', '');
  const blocks = await page.locator('.opblock').all();
  return Promise.all(
    blocks.map(async (block) => ({
      method: await text(block, '.opblock-summary-method'),
      path: await text(block, '.opblock-summary-path'),
      summary: await text(block, '.opblock-summary-description'),
    })),
  );
}

/** Enters a credential in the form behind the button "Authorize". */
async function authorize(page, scheme, credential) {
  await page.getByRole('button', { name: 'Authorize', exact: true }).first().click();
  const form = page.locator('.auth-container', { hasText: scheme });
  await form.getByRole('textbox').fill(credential);
  await form.getByRole('button', { name: 'Apply credentials' }).click();
  await form.getByRole('button', { name: 'Remove authorization' }).waitFor();
  await page.locator('.modal-ux').getByRole('button', { name: 'Close' }).last().click();
}

/** Opens an operation, and sends a request: with this body, or without one. Returns the request, and the shown response. */
async function send(page, operation, body) {
  const block = page.locator(`.opblock[id$="-${operation}"]`);
  await block.locator('.opblock-summary-control').click();
  await block.getByRole('button', { name: 'Try it out' }).click();
  if (body) {
    await block.getByRole('textbox', { name: 'Request body' }).fill(JSON.stringify(body));
  }
  const sent = page.waitForRequest((request) => request.url().startsWith(`${session.base_url}/`));
  await block.getByRole('button', { name: 'Execute' }).click();
  const live = block.locator('.live-responses-table');
  const status = await live.locator('.response-col_status').nth(1).innerText();
  return { request: await sent, status: Number.parseInt(status, 10), body: await live.locator('.microlight').first().innerText() };
}

for (const path of ['/docs', '/docs/']) {
  test(`${path} lists every operation of the description`, async () => {
    await withPage(path, async (page) => {
      const wanted = await operations();
      const sorted = (list) => list.map(({ method, path, summary }) => `${method} ${path} ${summary}`).sort();
      assert.deepEqual(sorted(await listed(page)), sorted(wanted));
    });
  });
}

test('a key that is entered is sent with the request that creates a contact, and the 201 is shown', async () => {
  await withPage('/docs', async (page) => {
    await authorize(page, 'ApiKeyAuth', org.admin_key);
    const email = `jane.doe.${randomUUID()}@example.com`;

    const { request, status, body } = await send(page, 'create_contact', {
      full_name: 'Jane Doe',
      email,
      linkedin_profile: 'https://linkedin.com/in/janedoe',
    });

    assert.equal(status, 201, body);
    assert.ok(body.includes(email), body);
    assert.equal(request.headers()['x-api-key'], org.admin_key);
    await page.setViewportSize({ width: 1280, height: 1800 });
    await page.locator('.opblock[id$="-create_contact"]').evaluate((block) => block.scrollIntoView());
    await page.screenshot({ path: 'docs.png' });
  });
});

test('the example of an operation is a request that succeeds', async () => {
  await withPage('/docs', async (page) => {
    await authorize(page, 'ApiKeyAuth', org.admin_key);
    const { status, body } = await send(page, 'create_campaign');
    assert.equal(status, 201, body);
  });
});

test('a token is sent as a bearer token', async () => {
  await withPage('/docs', async (page) => {
    await authorize(page, 'BearerAuth', org.jwt);

    const { request, status, body } = await send(page, 'list_companies');

    assert.equal(status, 200, body);
    assert.equal(request.headers().authorization, `Bearer ${org.jwt}`);
  });
});

test('a request without a credential shows the 401', async () => {
  await withPage('/docs', async (page) => {
    const { status, body } = await send(page, 'list_companies');
    assert.equal(status, 401, body);
    assert.ok(body.includes('Invalid or missing authentication credentials'), body);
  });
});

test('a key is forgotten when the page is loaded again', async () => {
  await withPage('/docs', async (page) => {
    await authorize(page, 'ApiKeyAuth', org.admin_key);
    const stored = await page.evaluate(() => {
      // A spread would miss an entry with the name of a method, such as `key`.
      const values = (storage) =>
        Array.from({ length: storage.length }, (_, index) => storage.getItem(storage.key(index)));
      return JSON.stringify([values(localStorage), values(sessionStorage), document.cookie]);
    });
    assert.ok(!stored.includes(org.admin_key), stored);
    assert.ok(!page.url().includes(org.admin_key), page.url());

    await page.reload();

    const { status } = await send(page, 'list_companies');
    assert.equal(status, 401);
  });
});

test('no rule of accessibility is broken critically', async () => {
  await withPage('/docs', async (page) => {
    await authorize(page, 'ApiKeyAuth', org.admin_key);
    await send(page, 'list_companies');
    await page.locator('.opblock[id$="-create_contact"] .opblock-summary-control').click();
    await page.locator('.opblock[id$="-create_contact"]').getByRole('button', { name: 'Try it out' }).click();

    const violations = await accessibilityViolations(page);

    assert.deepEqual(violations.filter(({ impact }) => impact === 'critical'), []);
    // What Swagger UI leaves: headings that skip a level, tables of one name, and a link inside of each operation's button.
    const rules = violations.map(({ rule }) => rule).sort();
    assert.deepEqual(rules, ['heading-order', 'landmark-unique', 'nested-interactive']);
  });
});
