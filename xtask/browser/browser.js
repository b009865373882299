// What the tests of all pages share: the API, a browser, and what must not happen on any page.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

/** The temporary API: `base_url`, and `orgs` with their `admin_key`, `read_key` and `jwt`. */
export const session = JSON.parse(await readFile(process.env.E2E_SESSION, 'utf8'));

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// Nothing but the page itself uses the network, and no display is needed. Without the sandbox, because CI may run as root.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Opens a page of the API in a browser with an empty profile, calls `use` with it, and closes the browser.
 *
 * Fails if the page logs an error, which a violation of its Content-Security-Policy is as well, throws, requests something
 * from another origin, or fails to load a part of itself.
 */
export async function withPage(path, use) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
  try {
    const page = await browser.newPage();
    const problems = watch(page);
    try {
      await page.goto(session.base_url + path);
      await use(page);
    } finally {
      // Also if `use` has failed: what the page reports is often the reason.
      assert.deepEqual(problems, [], 'what the page reported');
    }
  } finally {
    await browser.close();
  }
}

/** Collects what must not happen while a page is in use. */
function watch(page) {
  const problems = [];
  page.on('console', (message) => {
    // A response of the API with a 4xx is logged too. Whether one is right is for the test to say.
    const isResponse = message.text().startsWith('Failed to load resource: the server responded');
    if (['error', 'warning'].includes(message.type()) && !isResponse) {
      problems.push(`console: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => problems.push(`exception: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (['http:', 'https:'].includes(url.protocol) && url.origin !== session.base_url) {
      problems.push(`request to another origin: ${url}`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 400 && !['fetch', 'xhr'].includes(response.request().resourceType())) {
      problems.push(`${response.status()}: ${response.url()}`);
    }
  });
  return problems;
}

/**
 * The violations of accessibility rules on the page in its present state: `{rule, impact, elements}`. The rules are those of
 * axe-core, which are WCAG 2 and best practices.
 */
export async function accessibilityViolations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  return violations.map(({ id, impact, nodes }) => ({
    rule: id,
    impact,
    elements: nodes.map((node) => node.target.join(' ')),
  }));
}

/** Saves a picture of the whole page: `target/browser/<name>.png`. */
export async function screenshot(page, name) {
  await page.screenshot({ path: `${name}.png`, fullPage: true });
}
