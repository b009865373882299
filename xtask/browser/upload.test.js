// The upload page in a browser: files are dropped or chosen, checked and loaded through the API.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { accessibilityViolations, screenshot, session, withPage } from './browser.js';

const [org] = session.orgs;
const key = org.admin_key;

/** Different in every run, so that the emails are new ones. */
const run = Date.now().toString(36);

async function api(path, { method = 'GET', body } = {}) {
  const headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
  const response = await fetch(`${session.base_url}${path}`, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response.json();
}

/** A file for `setInputFiles`. */
function file(name, content) {
  return { name, mimeType: 'text/csv', buffer: Buffer.from(content) };
}

const row = (email, name = 'Jane Doe', profile = 'linkedin.com/in/janedoe') => `${email},${name},${profile}`;
const leads = (...rows) => ['Work Email,Name,LinkedIn URL', ...rows, ''].join('\r\n');

async function enterKey(page, value = key) {
  await page.getByLabel('API key with the scope write').fill(value);
  await page.getByRole('button', { name: 'Use key' }).click();
}

async function choose(page, chosen) {
  await page.getByLabel('Choose a CSV file, or drop it here').setInputFiles(chosen);
  await page.getByRole('heading', { name: 'Columns' }).waitFor();
}

/** Checks the file, and returns the numbers of the result. */
async function check(page) {
  await page.getByRole('button', { name: 'Check the file' }).click();
  await page.locator('#check-headline').waitFor();
  return numbers(page, '#check-result');
}

/** Loads the checked file, and returns the numbers of the result. */
async function load(page) {
  await page.getByRole('button', { name: /^Load / }).click();
  return loaded(page);
}

async function loaded(page) {
  await page.locator('#load-headline').waitFor({ timeout: 120_000 });
  return numbers(page, '#load-result');
}

async function numbers(page, result) {
  const texts = await page.locator(`${result} .counts dd`).allInnerTexts();
  return texts.map((text) => Number(text.replaceAll(',', '')));
}

/** The reasons of the rows that are shown as refused. */
async function shownReasons(page) {
  const rows = await page.locator('#refused-body tr').all();
  return Promise.all(
    rows.map(async (shown) => {
      const [number, , reason] = await shown.locator('td').allTextContents();
      return `${number}: ${reason}`;
    }),
  );
}

/** Waits until every request is answered and two frames of the page bring no other. */
async function untilSilent(page, requests, finished) {
  for (let sent = -1; sent !== requests.length || finished() < sent;) {
    sent = requests.length;
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }
}

/** Downloads the rows that a loaded file has left. */
async function downloaded(page) {
  const button = page.locator('#load-result').getByRole('button', { name: 'Download the refused rows' });
  const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
}

/** Asserts that no rule of axe-core is broken, in light and dark and on a narrow screen, and leaves pictures. */
async function assertAccessible(page, state) {
  for (const [scheme, width] of [
    ['light', 1280],
    ['dark', 360],
  ]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: 800 });
    assert.deepEqual(await accessibilityViolations(page), [], `${state}, ${scheme}, ${width} px`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${state} at ${width} px is ${overflow} px too wide`);
    await screenshot(page, `upload-${state}-${scheme}-${width}`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1280, height: 800 });
}

test('a file of 20,000 rows is checked, loaded with a pause, and its refused rows are corrected and loaded', async () => {
  const rows = Array.from({ length: 20_000 }, (_, index) => {
    if (index % 400 === 13) return row(`jane.${index}.example.com`);
    if (index % 400 === 14) return `${row(`jane.${index}.${run}@example.com`)},one cell too many`;
    if (index % 400 === 15) return row(`Jane.0.${run}@Example.com`, '=Jane Doe');
    return row(`jane.${index}.${run}@example.com`);
  });
  await withPage('/upload', async (page) => {
    const requests = [];
    let finished = 0;
    page.on('request', (request) => requests.push(`${request.method()} ${request.url()}`));
    page.on('requestfinished', () => (finished += 1));
    await enterKey(page);
    await choose(page, file('leads.csv', leads(...rows)));

    assert.deepEqual(await check(page), [19_850, 50, 100]);

    const [reason, other] = await shownReasons(page);
    assert.equal(reason, '14: email must be a valid email address');
    assert.equal(other, '15: has 4 columns instead of 3');

    await page.getByRole('button', { name: 'Load 19,900 rows' }).click();
    const bar = page.locator('#load-progress');
    await page.waitForFunction(() => document.querySelector('#load-progress').value > 0);
    await page.getByRole('button', { name: 'Pause' }).click();
    await untilSilent(page, requests, () => finished);
    const paused = await bar.evaluate((element) => element.value);
    assert.ok(paused > 0 && paused < 10_000, `${paused} rows: those that were on their way, and no others`);
    assert.match(
      await page.locator('#load-pace').innerText(),
      /^[\d,]+ of 19,900 rows, [\d,]+ rows per second, .+ left$/,
    );
    await page.getByRole('button', { name: 'Continue' }).click();
    const [created, updated, refused, total] = await loaded(page);

    assert.deepEqual([created, updated, refused, total], [19_850, 50, 100, 20_000]);
    assert.equal(created + updated + refused, total);
    const importId = await page.locator('#load-import').innerText();
    const stored = await api(`/imports/${importId}`);
    assert.deepEqual(
      [stored.status, stored.total_rows, stored.contacts_count, stored.file_name, stored.source],
      ['completed', 20_000, 19_850, 'leads.csv', 'csv'],
    );

    const { name, text } = await downloaded(page);
    assert.equal(name, 'leads.rejected.csv');
    assert.equal(text.trim().split('\r\n').length, 101);
    await page.getByRole('button', { name: 'Load another file' }).click();
    await choose(page, file(name, text));
    assert.deepEqual(await check(page), [0, 0, 100], 'rows that are not corrected are refused again');
    const corrected = text.replaceAll('.example.com', `.${run}@example.com`).replaceAll(',one cell too many', '');
    await choose(page, file(name, corrected));
    assert.deepEqual(await check(page), [100, 0, 0]);
    assert.deepEqual(await load(page), [100, 0, 0, 100]);
    assert.ok(!requests.some((request) => request.includes(key)), 'no URL has the key');
  });
});

test('rows are refused for the reasons of the shared vectors', async () => {
  const { rows } = JSON.parse(await readFile(new URL('../../shared/csv-import/vectors.json', import.meta.url), 'utf8'));
  const fields = [...new Set(rows.flatMap(({ row }) => Object.keys(row)))];
  // A column of names excludes the columns of their parts: one file for each.
  const hasParts = ({ row }) => 'first_name' in row || 'last_name' in row;
  const files = [
    { excluded: ['full_name'], vectors: rows.filter(hasParts) },
    { excluded: ['first_name', 'last_name'], vectors: rows.filter((vector) => !hasParts(vector)) },
  ];
  const quoted = (cell) => `"${cell.replaceAll('"', '""')}"`;
  await withPage('/upload', async (page) => {
    await enterKey(page);
    for (const { excluded, vectors } of files) {
      const columns = [...fields.filter((field) => !excluded.includes(field)), 'number'];
      // The last column keeps a row without any field from being a blank line.
      const cells = ({ row }) => columns.map((column) => (column === 'number' ? '1' : (row[column] ?? '')));
      const lines = [columns, ...vectors.map(cells)].map((line) => line.map(quoted).join(','));
      await choose(page, file('vectors.csv', lines.join('\n')));
      await check(page);
      const expected = vectors.flatMap(({ errors }, index) =>
        errors.length ? [`${index + 1}: ${errors.join('; ')}`] : [],
      );
      assert.deepEqual(await shownReasons(page), expected);
    }
  });
});

test('a file in Windows-1252 with Spanish headers is mapped by itself', async () => {
  const text =
    'Correo electrónico;Nombre;Apellidos;Perfil de LinkedIn;Compañía\njane@example.com;Jané;Doñe;in/janedoe;Año € S.L.\n';
  const bytes = Buffer.from(Array.from(text, (character) => (character === '€' ? 0x80 : character.charCodeAt(0))));
  await withPage('/upload', async (page) => {
    await choose(page, file('clientes.csv', bytes));
    assert.equal(await page.getByLabel('Encoding').inputValue(), 'windows-1252');
    assert.equal(await page.getByLabel('Separator').inputValue(), ';');
    const selected = (label) =>
      page.getByLabel(label, { exact: true }).evaluate((select) => select.selectedOptions[0].text);
    assert.equal(await selected('Email (required)'), 'Correo electrónico');
    assert.equal(await selected('Full name (or first and last name)'), 'No column');
    assert.equal(await selected('First name'), 'Nombre');
    assert.equal(await selected('Last name'), 'Apellidos');
    assert.equal(await selected('Company'), 'Compañía');
    assert.ok(await page.getByText('First value: Año € S.L.').isVisible());
  });
});

test('a dropped file is opened, and one that is no CSV is refused', async () => {
  await withPage('/upload', async (page) => {
    const drop = (name, content) =>
      page.evaluate(
        ([fileName, text]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], fileName));
          document
            .querySelector('h1')
            .dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
        },
        [name, content],
      );
    await drop('leads.csv', leads(row('jane@example.com')));
    await page.locator('#file-summary', { hasText: /^leads.csv: \d+ bytes, 3 columns\.$/ }).waitFor();
    await drop('leads.xlsx', 'PK\u0003\u0004');
    await page.getByRole('alert').filter({ hasText: 'CSV UTF-8' }).waitFor();
    assert.ok(!(await page.getByRole('heading', { name: 'Columns' }).isVisible()));
  });
});

test('a failure pauses the load, and nothing is lost when it goes on', async () => {
  await withPage('/upload', async (page) => {
    await enterKey(page);
    await choose(
      page,
      file('leads.csv', leads(...Array.from({ length: 1_200 }, (_, index) => row(`joe.${index}.${run}@example.com`)))),
    );
    await check(page);
    // The attempts that come after the pauses fail at once.
    await page.evaluate(() => {
      const { fetch, setTimeout } = window;
      window.setTimeout = (callback) => setTimeout(callback, 0);
      window.fetch = (url, request) =>
        String(url).includes('/contacts/bulk') ? Promise.reject(new TypeError('no connection')) : fetch(url, request);
      window.reconnect = () => Object.assign(window, { fetch, setTimeout });
    });
    await page.getByRole('button', { name: 'Load 1,200 rows' }).click();
    await page.getByRole('alert').filter({ hasText: 'Check the network connection' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Continue');
    await page.getByRole('button', { name: 'Forget key' }).click();
    await page.evaluate(() => window.reconnect());
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').filter({ hasText: 'There is no API key' }).waitFor();
    await enterKey(page);
    await page.getByRole('button', { name: 'Forget key' }).waitFor();
    await page.getByRole('button', { name: 'Continue' }).click();
    assert.deepEqual(await loaded(page), [1_200, 0, 0, 1_200]);
  });
});

test('the key is in the memory of the tab only, and it is forgotten on demand', async () => {
  await withPage('/upload', async (page) => {
    await enterKey(page, 'sk_test_mistyped');
    await page.getByRole('alert').filter({ hasText: 'does not accept this key' }).waitFor();
    await enterKey(page);
    await page.getByText('The API accepts the key.').waitFor();
    const traces = () =>
      page.evaluate(() => {
        const values = (storage) =>
          Array.from({ length: storage.length }, (_, index) => storage.getItem(storage.key(index)));
        return JSON.stringify([
          location.href,
          document.cookie,
          values(localStorage),
          values(sessionStorage),
          history.state,
          document.documentElement.outerHTML,
          [...document.querySelectorAll('input')].map(({ value }) => value),
          performance.getEntriesByType('resource').map(({ name }) => name),
        ]);
      });
    assert.ok(!(await traces()).includes(key));
    assert.deepEqual(await page.evaluate(() => indexedDB.databases()), []);
    await page.getByRole('button', { name: 'Forget key' }).click();
    await choose(page, file('leads.csv', leads(row('jane@example.com'))));
    await page.getByRole('button', { name: 'Check the file' }).click();
    await page.getByRole('alert').filter({ hasText: 'Enter the API key first' }).waitFor();
    assert.ok(!(await traces()).includes(key));
  });
});

test('a column that is missing is asked for', async () => {
  await withPage('/upload', async (page) => {
    await enterKey(page);
    await choose(page, file('leads.csv', 'Address,Name,Profile\njane@example.com,Jane Doe,in/janedoe\n'));
    await page.getByRole('button', { name: 'Check the file' }).click();
    await page
      .getByRole('alert')
      .filter({ hasText: 'Choose a column in step 3 for: Email; LinkedIn profile.' })
      .waitFor();
    await page.getByLabel('Email (required)').selectOption('Address');
    await page.getByLabel('LinkedIn profile (required)').selectOption('Profile');
    assert.deepEqual(await check(page), [1, 0, 0]);
  });
});

test('the contacts of a file become leads of a campaign', async () => {
  const campaign = await api('/campaigns/', { method: 'POST', body: { name: `Campaign ${run}`, status: 'active' } });
  await withPage('/upload', async (page) => {
    await enterKey(page);
    await choose(page, file('leads.csv', leads(row(`lead.1.${run}@example.com`), row(`lead.2.${run}@example.com`))));
    await check(page);
    await page.getByLabel('Add the contacts as leads to a campaign').selectOption(`Campaign ${run} (active)`);
    await load(page);
    await page.getByText('2 new leads in the campaign.').waitFor();
    assert.equal((await api(`/campaign-leads/?campaign_id=${campaign.id}`)).length, 2);
  });
});

test('a file is loaded with the keyboard alone', async () => {
  await withPage('/upload', async (page) => {
    const focused = () => page.evaluate(() => document.activeElement.id);
    const tabTo = async (id) => {
      for (let presses = 0; presses < 30; presses += 1) {
        await page.keyboard.press('Tab');
        if ((await focused()) === id) return;
      }
      assert.fail(`${id} is not reached by the tab key`);
    };
    await tabTo('key');
    await page.keyboard.type(key);
    await page.keyboard.press('Enter');
    await page.getByText('The API accepts the key.').waitFor();
    assert.equal(await focused(), 'key-name');
    await tabTo('file');
    const chooser = page.waitForEvent('filechooser');
    await page.keyboard.press('Space');
    await (await chooser).setFiles(file('leads.csv', leads(row(`keys.${run}@example.com`), row('keys'))));
    await page.getByRole('heading', { name: 'Columns' }).waitFor();
    for (const id of ['encoding', 'delimiter', 'preview', 'column-full_name', 'column-email', 'check']) await tabTo(id);
    await page.keyboard.press('Enter');
    await page.locator('#check-headline').waitFor();
    assert.equal(await focused(), 'check-headline');
    for (const id of ['download-checked', 'campaign', 'load']) await tabTo(id);
    await page.keyboard.press('Enter');
    assert.deepEqual(await loaded(page), [1, 0, 1, 2]);
    assert.equal(await focused(), 'load-headline');
    await tabTo('again');
    await page.keyboard.press('Space');
    assert.equal(await focused(), 'file');
  });
});

test('every state of the page is accessible, in light and dark, wide and narrow', async () => {
  const rows = Array.from({ length: 5_000 }, (_, index) =>
    row(index % 20 === 3 ? `axe.${index}` : `axe.${index}.${run}@example.com`, index % 50 === 7 ? '' : 'Jane Doe'),
  );
  await withPage('/upload', async (page) => {
    await page.getByRole('heading', { name: 'API key' }).waitFor();
    await assertAccessible(page, '1-start');
    await enterKey(page, 'sk_test_mistyped');
    await page.getByRole('alert').filter({ hasText: 'does not accept this key' }).waitFor();
    await assertAccessible(page, '2-wrong-key');
    await enterKey(page);
    await choose(page, file('leads.csv', leads(...rows, row(`AXE.0.${run}@example.com`))));
    await assertAccessible(page, '3-columns');
    await check(page);
    await assertAccessible(page, '4-checked');
    await page.getByRole('button', { name: /^Load / }).click();
    await page.waitForFunction(() => document.querySelector('#load-progress').value > 0);
    await page.getByRole('button', { name: 'Pause' }).click();
    await assertAccessible(page, '5-paused');
    await page.getByRole('button', { name: 'Continue' }).click();
    await loaded(page);
    await assertAccessible(page, '6-done');
  });
});
