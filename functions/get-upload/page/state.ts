// What the steps of the page share.

import { type Api, ApiError } from './api.ts';
import { ImportNotFound } from './bulk.ts';
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

/** What happened, and what to do, for the person who waits. `button` is the name of the one that repeats the call. */
export function explain(error: ApiError, button: string): string {
  if (error instanceof NoKey) return `There is no API key. Enter it in step 1, then press ${button}.`;
  if (error instanceof ImportNotFound) return error.detail;
  switch (error.status) {
    case 0:
      return `${error.detail} Check the network connection, then press ${button}.`;
    case 401:
      return `The API no longer accepts the key. In step 1 press Forget key, enter another key, then press ${button}.`;
    case 403:
      return 'The key lacks the scope write, or the organization is suspended: ask your administrator.';
    case 429:
    case 503:
      return `The API is busy. Wait a minute, then press ${button}.`;
    default: {
      const request = error.requestId ? ` (request ${error.requestId})` : '';
      return `The API responded with ${error.status}: ${error.detail}${request}. Press ${button}, or ask your administrator.`;
    }
  }
}
