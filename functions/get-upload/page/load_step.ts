// Step 5: loads the rows that passed the check, links them to a campaign, and shows what was done.

import { ApiError } from './api.ts';
import type { Check } from './check.ts';
import { downloadRefused } from './check_step.ts';
import { any, announce, button, count, number, option, progressBar, select, setText, show } from './dom.ts';
import { FileError } from './encoding.ts';
import { Job } from './job.ts';
import { requireKey } from './key_step.ts';
import { Latest } from './latest.ts';
import { type Linked, type Loaded, linkImport, loadFile } from './load.ts';
import { Stopwatch, duration, pace, waitText } from './progress.ts';
import type { Source } from './source.ts';
import { currentApi, explain, setBusy, state } from './state.ts';

/** The button of a paused load. */
const CONTINUE = 'Continue';

let check: Check | undefined;
let job: Job | undefined;
let loaded: Loaded | undefined;
let stopwatch = new Stopwatch();
const listing = new Latest();

/** `onAgain` is told that the next file is to be loaded. */
export function start(onAgain: () => void): void {
  button('load').addEventListener('click', () => {
    if (requireKey() && state.source && check) void run(state.source, check);
  });
  button('pause').addEventListener('click', () => {
    if (!job) return;
    if (job.isPaused) proceed(job);
    else {
      job.pause();
      showPaused();
    }
  });
  button('download-loaded').addEventListener('click', () => {
    if (state.source && loaded) void downloadRefused(state.source, loaded.reasons);
  });
  button('again').addEventListener('click', onAgain);
  window.addEventListener('beforeunload', (event) => {
    if (job) event.preventDefault();
  });
}

/** Shows the step for a checked file. */
export function open(checked: Check): void {
  check = checked;
  loaded = undefined;
  const rows = checked.created + checked.updated;
  button('load').textContent = `Load ${count(rows, 'row')}`;
  setText('load-error', undefined);
  show('load-result', false);
  show('load-form', true);
  show('load-step', rows > 0);
  if (rows > 0) void listCampaigns();
}

/** Lists the campaigns. Without the scope `read`, or if it fails, the file can still be loaded. */
async function listCampaigns(): Promise<void> {
  const isLatest = listing.begin();
  const list = select('campaign');
  list.replaceChildren(option('', 'No campaign'));
  setText('campaign-hint', undefined);
  try {
    const campaigns = (await currentApi().list('campaigns/')) as { id: string; name: string; status: string }[];
    if (!isLatest()) return;
    const current = campaigns.filter(({ status }) => status !== 'archived');
    list.append(...current.map(({ id, name, status }) => option(id, `${name} (${status})`)));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!isLatest()) return;
    const reason = error.status === 403 ? 'the key lacks the scope read' : 'the API did not list them';
    setText('campaign-hint', `Campaigns cannot be chosen: ${reason}. The file can be loaded without one.`);
  }
}

async function run(source: Source, checked: Check): Promise<void> {
  const campaign = select('campaign').value;
  const onFailure = (error: ApiError): void => {
    setText('load-error', explain(error, CONTINUE));
    showPaused();
  };
  job = new Job(currentApi, onFailure, (wait) => setText('load-wait', waitText(wait)));
  stopwatch = new Stopwatch();
  stopwatch.run();
  setRunning(true, checked);
  try {
    loaded = await loadFile(job, source, state.mapping, checked, (soFar) => showProgress(checked, soFar));
    let linked: Linked | undefined;
    if (campaign !== '') {
      setText('load-status', 'Creating leads');
      linked = await linkImport(job, loaded.importId, campaign);
    }
    showResult(checked, loaded, linked);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    setText(
      'load-error',
      `${error.message} Rows that were loaded before stay; loading them again creates nothing twice.`,
    );
    show('load-form', true);
  } finally {
    job = undefined;
    setRunning(false, checked);
  }
  if (loaded) any('load-headline').focus();
}

function setRunning(isRunning: boolean, { created, updated }: Check): void {
  setBusy(isRunning);
  show('loading', isRunning);
  button('check').disabled = isRunning;
  if (!isRunning) return;
  show('load-form', false);
  setText('load-error', undefined);
  progressBar('load-progress').max = created + updated;
  progressBar('load-progress').value = 0;
  setText('load-pace', '');
  showResumed();
}

function showPaused(): void {
  stopwatch.pause();
  setText('load-status', 'Paused');
  button('pause').textContent = CONTINUE;
  button('pause').focus();
  announce('Paused.');
}

function proceed(paused: Job): void {
  setText('load-error', undefined);
  stopwatch.run();
  showResumed();
  paused.resume();
}

function showResumed(): void {
  setText('load-status', 'Loading');
  button('pause').textContent = 'Pause';
  button('pause').focus();
  announce('Loading.');
}

function showProgress(checked: Check, { created, updated, reasons }: Loaded): void {
  const bar = progressBar('load-progress');
  const before = Math.floor(bar.position * 10);
  bar.value = created + updated + reasons.size - checked.refused.length;
  const rate = pace(bar.value, bar.max, stopwatch.milliseconds());
  const text = `${number(bar.value)} of ${count(bar.max, 'row')}`;
  const estimate = rate ? `, ${number(rate.perSecond)} rows per second, ${duration(rate.secondsLeft)} left` : '';
  setText('load-pace', text + estimate);
  if (Math.floor(bar.position * 10) > before) announce(text + estimate);
}

function showResult(checked: Check, result: Loaded, linked: Linked | undefined): void {
  const { created, updated, reasons } = result;
  setText('load-headline', `Done: ${number(created + updated)} of ${count(checked.rows, 'row')} loaded`);
  setText('load-created', number(created));
  setText('load-updated', number(updated));
  setText('load-refused', number(reasons.size));
  setText('load-rows', number(checked.rows));
  setText('load-import', result.importId);
  setText('load-linked', linked && linkedText(linked));
  show('download-loaded', reasons.size > 0);
  show('load-result', true);
}

function linkedText(linked: Linked): string {
  if (linked === 'deleted') {
    return 'The contacts are loaded, but no leads were created: the campaign or the import was deleted. Load the file again, with another campaign.';
  }
  const { inserted_leads: inserted, excluded_contacts: excluded, isPartial } = linked;
  if (isPartial) {
    const leads = 'The contacts are leads of the campaign, unless an active campaign that uses the same account has them.';
    return `${leads} It took several requests, the last of which created ${count(inserted, 'lead')}.`;
  }
  const leads = `${count(inserted, 'new lead')} in the campaign.`;
  if (excluded === 0) return leads;
  const skipped = excluded === 1 ? '1 contact was skipped: it is' : `${number(excluded)} contacts were skipped: they are`;
  return `${leads} ${skipped} already in this campaign, or in an active campaign that uses the same account.`;
}
