// Step 4: the dry run, and every row that would be refused.

import type { ApiError } from './api.ts';
import { type Check, checkFile } from './check.ts';
import { requireColumns } from './columns_step.ts';
import { any, announce, button, count, download, number, progressBar, setText, show, tableRow } from './dom.ts';
import { FileError } from './encoding.ts';
import { Job, Stopped } from './job.ts';
import { requireKey } from './key_step.ts';
import { waitText } from './progress.ts';
import { refusedFile, refusedName } from './refused.ts';
import type { Source } from './source.ts';
import { currentApi, explain, setBusy, state } from './state.ts';

/** The refused rows that are shown at once. */
const SHOWN = 100;
/** The button that repeats a call which has failed. */
const TRY_AGAIN = 'Try again';

let job: Job | undefined;
let result: Check | undefined;

/** `onCheck` is told the result. */
export function start(onCheck: (check: Check) => void): void {
  button('check').addEventListener('click', () => {
    if (job?.isPaused) return proceed(job);
    const problem = requireColumns();
    setText('check-error', problem);
    if (problem === undefined && requireKey() && state.source) void run(state.source, onCheck);
  });
  button('stop-check').addEventListener('click', () => job?.stop());
  button('download-checked').addEventListener('click', () => {
    if (state.source && result) void downloadRefused(state.source, reasonsOf(result));
  });
  button('more-refused').addEventListener('click', () => {
    const shown = any('refused-body').childElementCount;
    showRefused(shown);
    any('refused-body').children[shown]?.scrollIntoView({ block: 'nearest' });
  });
}

/** Shows the step without a result. */
export function open(): void {
  result = undefined;
  nameButton();
  setText('check-error', undefined);
  show('check-result', false);
  show('check-step', true);
}

/** Lets the person save the refused rows. */
export async function downloadRefused(source: Source, reasons: ReadonlyMap<number, string>): Promise<void> {
  try {
    download(await refusedFile(source, reasons), refusedName(source.file.name));
    announce('The refused rows are downloaded.');
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    setText('check-error', error.message);
  }
}

async function run(source: Source, onCheck: (check: Check) => void): Promise<void> {
  open();
  const onFailure = (error: ApiError): void => {
    setText('check-error', explain(error, TRY_AGAIN));
    button('check').textContent = TRY_AGAIN;
    show('check', true);
    button('check').focus();
  };
  job = new Job(currentApi, onFailure, (wait) => setText('check-wait', waitText(wait)));
  setRunning(true);
  progressBar('check-progress').max = source.file.size;
  progressBar('check-progress').value = 0;
  setText('check-pace', '');
  try {
    result = await checkFile(job, source, state.mapping, showProgress);
    showResult(result);
    onCheck(result);
  } catch (error) {
    if (error instanceof FileError) setText('check-error', error.message);
    else if (error instanceof Stopped) setText('check-error', 'The check was stopped before its end.');
    else throw error;
  } finally {
    job = undefined;
    setRunning(false);
  }
  if (result) any('check-headline').focus();
  else button('check').focus();
}

function proceed(paused: Job): void {
  setText('check-error', undefined);
  show('check', false);
  button('stop-check').focus();
  paused.resume();
}

/** With a result, the next step is to load. */
function nameButton(): void {
  button('check').textContent = result ? 'Check again' : 'Check the file';
  button('check').classList.toggle('quiet', result !== undefined);
}

function setRunning(isRunning: boolean): void {
  setBusy(isRunning);
  show('checking', isRunning);
  show('stop-check', isRunning);
  show('check', !isRunning);
  nameButton();
  if (isRunning) button('stop-check').focus();
}

function showProgress(bytes: number, check: Check): void {
  const bar = progressBar('check-progress');
  const before = Math.floor(bar.position * 4);
  bar.value = bytes;
  const text = `${count(check.created + check.updated + check.refused.length, 'row')} checked, ${number(check.refused.length)} refused`;
  setText('check-pace', text);
  if (Math.floor(bar.position * 4) > before) announce(text);
}

function showResult(check: Check): void {
  const { rows, created, updated, refused, repeated } = check;
  const good = created + updated;
  const headline =
    refused.length === 0
      ? `All ${count(rows, 'row')} can be loaded`
      : `${number(good)} of ${count(rows, 'row')} can be loaded`;
  setText('check-headline', rows === 0 ? 'The file has no rows below its header' : headline);
  setText('check-created', number(created));
  setText('check-updated', number(updated));
  setText('check-refused', number(refused.length));
  setText('check-repeated', repeated.size === 0 ? undefined : repeatedText(repeated));
  any('refused-body').replaceChildren();
  showRefused(0);
  show('refused', refused.length > 0);
  show('check-result', true);
}

/** Names the first rows of repeated emails. */
function repeatedText(repeated: Check['repeated']): string {
  const named = [...repeated].slice(0, 5).map(([row, first]) => `row ${number(row)} (as row ${number(first)})`);
  const others = repeated.size > named.length ? `, and ${number(repeated.size - named.length)} more` : '';
  const subject =
    repeated.size === 1
      ? '1 row repeats the email of an earlier row and updates'
      : `${number(repeated.size)} rows repeat the email of an earlier row and update`;
  return `${subject} its contact: ${named.join(', ')}${others}.`;
}

/** Shows the next refused rows. */
function showRefused(from: number): void {
  const refused = result?.refused ?? [];
  const rows = refused.slice(from, from + SHOWN);
  any('refused-body').append(
    ...rows.map((row) =>
      tableRow([{ text: number(row.number), isNumber: true }, { text: row.email ?? '' }, { text: row.reason }]),
    ),
  );
  const left = refused.length - from - rows.length;
  setText('more-refused', left > 0 ? `Show ${number(Math.min(left, SHOWN))} more of ${number(left)}` : undefined);
}

function reasonsOf({ refused }: Check): Map<number, string> {
  return new Map(refused.map(({ number: row, reason }) => [row, reason]));
}
