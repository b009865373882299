// Bundles the upload page into one HTML file, and its unit tests into one file each.
//
// node build.mjs PAGE_DIRECTORY OUTPUT_DIRECTORY

import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { build, transform } from 'esbuild';

const [page, output] = process.argv.slice(2);

/** Puts a text between two tags of the template, which have to follow each other. */
function fill(html, open, close, content) {
  const parts = html.split(`${open}${close}`);
  if (parts.length !== 2) throw new Error(`page.html needs ${open}${close} exactly once`);
  return `${parts[0]}${open}${content.trimEnd()}${close}${parts[1]}`;
}

const script = await build({
  entryPoints: [join(page, 'main.ts')],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  charset: 'utf8',
  legalComments: 'inline',
  write: false,
});
const style = await transform(await readFile(join(page, 'page.css'), 'utf8'), { loader: 'css', minify: true });
const template = await readFile(join(page, 'page.html'), 'utf8');
let html = fill(template, '<style>', '</style>', style.code);
html = fill(html, '<script type="module">', '</script>', script.outputFiles[0].text);
await mkdir(output, { recursive: true });
await writeFile(join(output, 'upload.html'), html);

const tests = (await readdir(page)).filter((name) => name.endsWith('.test.ts'));
await build({
  entryPoints: tests.map((name) => join(page, name)),
  outdir: join(output, 'tests'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
});
