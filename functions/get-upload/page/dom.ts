// The elements of the page, which are all in `page.html`.

/** The element with this id, which is of this type. */
export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`page.html has no ${type.name} with the id ${id}`);
  return found;
}

export const button = (id: string): HTMLButtonElement => element(id, HTMLButtonElement);
export const select = (id: string): HTMLSelectElement => element(id, HTMLSelectElement);
export const progressBar = (id: string): HTMLProgressElement => element(id, HTMLProgressElement);
export const any = (id: string): HTMLElement => element(id, HTMLElement);

/** Shows a text, or hides its element without one. */
export function setText(id: string, text: string | undefined): void {
  const target = any(id);
  target.textContent = text ?? '';
  target.hidden = text === undefined;
}

export function show(id: string, isShown: boolean): void {
  any(id).hidden = !isShown;
}

/** Lets a screen reader say a text. */
export function announce(text: string): void {
  any('announcement').textContent = text;
}

/** A row of cells. */
export function tableRow(cells: { text: string; tag?: 'td' | 'th'; isNumber?: boolean }[]): HTMLTableRowElement {
  const row = document.createElement('tr');
  for (const { text, tag = 'td', isNumber = false } of cells) {
    const cell = document.createElement(tag);
    cell.textContent = text;
    if (tag === 'th') cell.scope = 'col';
    if (isNumber) cell.className = 'numeric';
    row.append(cell);
  }
  return row;
}

export function option(value: string, text: string): HTMLOptionElement {
  return new Option(text, value);
}

/** `20,000` */
export function number(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** `1 row`, `20,000 rows` */
export function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** Lets the person save a file. */
export function download(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The download holds its own reference after this task.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
