import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

let known: string | undefined;

/** Of the nearest package.json: this file runs from apps/ in tests and from dist/apps/ otherwise. */
export function serverVersion(): string {
  if (known !== undefined) return known;
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  known = version;
  return version;
}
