// What the steps of the page share.

import { type Api, ApiError } from './api.ts';
import { any } from './dom.ts';
import type { Mapping } from './mapping.ts';
import type { Source } from './source.ts';

export const state: { api: Api | undefined; source: Source | undefined; mapping: Mapping; isBusy: boolean } = {
  api: undefined,
  source: undefined,
  mapping: new Map(),
  isBusy: false,
};

/** There is no key: it was not entered, or it was forgotten. */
export class NoKey extends ApiError {
  constructor() {
    super(401, 'no key');
  }
}

/** The API with the current key. */
export function currentApi(): Api {
  if (!state.api) throw new NoKey();
  return state.api;
}

/** Locks the file and its columns while rows are checked or loaded. */
export function setBusy(isBusy: boolean): void {
  state.isBusy = isBusy;
  for (const step of ['file-step', 'columns-step']) {
    for (const control of any(step).querySelectorAll<HTMLInputElement | HTMLSelectElement>('input, select')) {
      control.disabled = isBusy;
    }
  }
}

/** What happened, and what to do, for the person who waits. */
export function explain(error: ApiError): string {
  if (error instanceof NoKey) return 'There is no API key. Enter it in step 1, then continue.';
  switch (error.status) {
    case 0:
      return `${error.detail} Check the network connection, then try again.`;
    case 401:
      return 'The API does not accept the key: it is mistyped, expired or revoked. Enter another one in step 1.';
    case 403:
      return 'The API refuses this: the key lacks the scope, or the organization is suspended. Ask your administrator.';
    case 429:
    case 503:
      return 'The API is busy. Wait a minute, then try again.';
    default: {
      const request = error.requestId ? ` (request ${error.requestId})` : '';
      return `The API responded with ${error.status}: ${error.detail}${request}. Try again, or ask your administrator.`;
    }
  }
}
