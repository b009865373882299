// Step 1: the API key. It is in the memory of this tab only: in the input until it is used, then in `state.api`.

import { Api, ApiError, baseUrl, newIdempotencyKey } from './api.ts';
import { any, announce, button, element, setText, show } from './dom.ts';
import { explain, state } from './state.ts';

const input = element('key', HTMLInputElement);

export function start(): void {
  element('key-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    void useKey();
  });
  button('forget-key').addEventListener('click', () => {
    state.api = undefined;
    input.value = '';
    showKey(false);
    announce('The key is forgotten.');
    input.focus();
  });
}

/** Asks for the key if there is none. */
export function requireKey(): boolean {
  if (state.api) return true;
  fail('Enter the API key first.');
  return false;
}

async function useKey(): Promise<void> {
  const key = input.value.trim();
  setText('key-error', undefined);
  input.removeAttribute('aria-invalid');
  if (key === '') return fail('Enter the API key first.');
  // A header takes no other characters, and no key has them.
  if (!/^[\x21-\x7e]+$/u.test(key)) return fail('The key has characters that no key has. Copy it again.');
  const api = new Api(baseUrl(location.href), key);
  button('use-key').disabled = true;
  announce('Checking the key.');
  try {
    await probe(api);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return fail(
      error.status === 401 ? 'The API does not accept this key. Check it and enter it again.' : explain(error, 'Use key'),
    );
  } finally {
    button('use-key').disabled = false;
  }
  state.api = api;
  input.value = '';
  showKey(true);
  any('key-name').focus();
}

/** A check of no rows needs the same scope as loading, and does nothing. */
async function probe(api: Api): Promise<void> {
  const headers = { 'Idempotency-Key': newIdempotencyKey() };
  await api.send({ method: 'POST', path: 'contacts/bulk?dry_run=true', body: [], headers, mayRepeat: (_, attempt) => attempt < 3 });
}

function fail(message: string): void {
  setText('key-error', message);
  input.setAttribute('aria-invalid', 'true');
  input.focus();
}

function showKey(isUsed: boolean): void {
  show('key-form', !isUsed);
  show('key-in-use', isUsed);
}
