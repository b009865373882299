// The upload page: five steps, each with its module. What a step decides goes to the next one.

import * as check from './check_step.ts';
import * as columns from './columns_step.ts';
import { setText, show } from './dom.ts';
import * as file from './file_step.ts';
import * as key from './key_step.ts';
import * as load from './load_step.ts';
import { state } from './state.ts';

/** Takes back what was decided from step 3 or 5 on. */
function hide(...steps: string[]): void {
  for (const step of steps) show(step, false);
}

/** An error of this page itself. */
function showError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  setText('page-error', `This page has failed: ${message}. Load it again. Rows that were loaded stay.`);
}

window.addEventListener('error', ({ error }) => showError(error));
window.addEventListener('unhandledrejection', ({ reason }) => showError(reason));

key.start();
file.start((source) => {
  state.source = source;
  hide('columns-step', 'check-step', 'load-step');
  if (!source) return;
  columns.open(source, () => {
    hide('load-step');
    check.open();
  });
  check.open();
});
check.start(load.open);
load.start(() => {
  state.source = undefined;
  hide('columns-step', 'check-step', 'load-step');
  file.reset();
});
