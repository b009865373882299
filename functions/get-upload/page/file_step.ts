// Step 2: the file, how it is read, and its first rows.

import { DELIMITERS, detectDelimiter } from './csv.ts';
import { any, announce, element, option, select, setText, show, tableRow } from './dom.ts';
import { ENCODINGS, type Encoding, FileError, MixedEncoding, detectEncoding } from './encoding.ts';
import { type Source, openSource } from './source.ts';
import { setBusy, state } from './state.ts';

const input = element('file', HTMLInputElement);
/** The file that is read again with another format. */
let chosen: File | undefined;

const DELIMITER_NAMES: Record<string, string> = { ',': 'Comma', ';': 'Semicolon', '\t': 'Tab', '|': 'Vertical bar' };
const ENCODING_NAMES: Record<Encoding, string> = {
  'utf-8': 'UTF-8',
  'utf-16le': 'UTF-16 (little-endian)',
  'utf-16be': 'UTF-16 (big-endian)',
  'windows-1252': 'Windows-1252 (Western European)',
};

/** `onSource` is told the file, or that there is none. */
export function start(onSource: (source: Source | undefined) => void): void {
  select('encoding').append(...ENCODINGS.map((encoding) => option(encoding, ENCODING_NAMES[encoding])));
  select('delimiter').append(
    ...DELIMITERS.map((delimiter) => option(delimiter, DELIMITER_NAMES[delimiter] ?? delimiter)),
  );
  const open = (file: File, detect: boolean): void => void openFile(file, detect, onSource);
  // A file of the same name, which was corrected meanwhile, has to count as chosen.
  input.addEventListener('click', () => {
    input.value = '';
  });
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    if (file) open(file, true);
  });
  for (const id of ['encoding', 'delimiter']) {
    select(id).addEventListener('change', () => {
      if (chosen) open(chosen, false);
    });
  }
  acceptDrops((file) => open(file, true));
}

/** Makes the step ready for the next file. */
export function reset(): void {
  input.value = '';
  setText('file-error', undefined);
  show('file-details', false);
  input.focus();
}

/** Takes files that are dropped anywhere: elsewhere the browser would leave the page and show the file. */
function acceptDrops(open: (file: File) => void): void {
  const highlight = (isOver: boolean): void => void any('drop').classList.toggle('over', isOver);
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    highlight(!state.isBusy);
  });
  document.addEventListener('dragleave', () => highlight(false));
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    highlight(false);
    const files = event.dataTransfer?.files;
    if (!files?.[0]) return;
    if (state.isBusy) return announce('Another file is being worked on. Wait until it is done.');
    input.files = files;
    open(files[0]);
  });
}

/** Opens a file with the encoding and delimiter that are detected or chosen. Until it is open, there is no file. */
async function openFile(file: File, detect: boolean, onSource: (source: Source | undefined) => void): Promise<void> {
  chosen = file;
  onSource(undefined);
  setText('file-error', undefined);
  setText('file-summary', `Reading ${file.name} …`);
  const focused = document.activeElement;
  setBusy(true);
  try {
    if (detect) await detectFormat(file);
    const format = { encoding: select('encoding').value as Encoding, delimiter: select('delimiter').value };
    const source = await openSource(file, format);
    showSource(source);
    onSource(source);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    setText('file-summary', file.name);
    setText('file-error', error.message);
  } finally {
    setBusy(false);
    // A control loses the focus when it is disabled.
    if (focused instanceof HTMLElement) focused.focus();
  }
}

/** Shows the detected format, which can be corrected. A file that is no text has none. */
async function detectFormat(file: File): Promise<void> {
  show('file-details', false);
  any('preview-head').replaceChildren();
  any('preview-body').replaceChildren();
  try {
    const encoding = await detectEncoding(file);
    select('encoding').value = encoding;
    select('delimiter').value = await detectDelimiter(file, encoding);
  } catch (error) {
    if (!(error instanceof MixedEncoding)) throw error;
    // The encoding can be chosen now. All candidates have the same delimiters.
    select('encoding').value = 'utf-8';
    select('delimiter').value = await detectDelimiter(file, 'windows-1252');
    show('file-details', true);
    throw error;
  }
  show('file-details', true);
}

function showSource({ file, header, firstRows, isRefused }: Source): void {
  const columns = `${header.length} column${header.length === 1 ? '' : 's'}`;
  const again = isRefused ? ' These are rows that were refused before: their numbers and reasons are left out.' : '';
  const summary = `${file.name}: ${size(file.size)}, ${columns}.${again}`;
  setText('file-summary', summary);
  any('preview-head').replaceChildren(tableRow(header.map((text) => ({ text, tag: 'th' }))));
  any('preview-body').replaceChildren(...firstRows.map(({ cells }) => tableRow(cells.map((text) => ({ text })))));
  announce(summary);
}

/** `3.2 MB` */
function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
