import { CodedError, isCodedError } from '#kernel';
import { parseGitAddress, type GitAddress } from '../git-address.js';
import type { GitObjects } from './git-objects.js';
import { gitSettings } from './git-settings.js';
import type { TreeRow } from './trees.js';

/** What a `.gitmodules` says of one (gitmodules(5)). All of it is text: nothing on the node is named by it. */
export interface Submodule {
  readonly name: string;
  readonly url: string | undefined;
}

/** Where a submodule is said to be, from a folder on: it means what has these very names in the tree, or nothing. */
export interface Sought {
  readonly path: string;
  readonly submodule: Submodule;
}

/** Of a repository and all below it. */
export const MAX_SUBMODULES = 1000;
const FILE = '.gitmodules';
const MAX_FILE_BYTES = 256 * 1024;
const SECTION = 'submodule.';
const KEYS: ReadonlySet<string> = new Set(['path', 'url', 'update']);

/** Of the repository with this root. @throws CodedError `invalid_argument` (with the line), `resource_exhausted` */
export async function submodulesOf(objects: GitObjects, root: readonly TreeRow[]): Promise<Sought[]> {
  const row = root.find(({ name }) => name === FILE);
  if (row === undefined) return [];
  // As Git: a link could lead anywhere.
  if (!row.mode.startsWith('100')) throw new CodedError('invalid_argument', `${FILE} is no file`);
  const blob = objects.get(row.hash, 'blob');
  if (blob.size > MAX_FILE_BYTES) throw new CodedError('resource_exhausted', `${FILE} is larger than ${MAX_FILE_BYTES} bytes`, { maxBytes: MAX_FILE_BYTES });
  try {
    return parsed(await objects.whole(blob));
  } catch (error) {
    if (!isCodedError(error)) throw error;
    throw new CodedError(error.code, `${FILE}: ${error.message}`, error.details, { cause: error });
  }
}

/** The last word holds where there are several, and `update = none` leaves one out: as Git has it. */
function parsed(bytes: Buffer): Sought[] {
  const said = new Map<string, Map<string, string>>();
  const names = new Map<string, string>();
  for (const { section, key, value } of gitSettings(bytes)) {
    if (!section.startsWith(SECTION) || !KEYS.has(key)) continue;
    const name = section.slice(SECTION.length);
    if (value === undefined) throw new CodedError('invalid_argument', `submodule ${JSON.stringify(name.slice(0, 100))} has no value for ${key}`);
    const settings = said.get(name) ?? new Map<string, string>();
    if (said.set(name, settings).size > MAX_SUBMODULES) throw new CodedError('resource_exhausted', `more than ${MAX_SUBMODULES} submodules`, { maxSubmodules: MAX_SUBMODULES });
    settings.set(key, value);
    if (key === 'path') names.set(value, name);
  }
  return [...names].flatMap(([path, name]): Sought[] => {
    const settings = said.get(name);
    return settings?.get('path') === path && settings.get('update') !== 'none' ? [{ path, submodule: { name, url: settings.get('url') } }] : [];
  });
}

/** By the first of their names: what is there itself, and what lies below. */
export function soughtIn(folder: readonly Sought[]): ReadonlyMap<string, { readonly here: Submodule | undefined; readonly below: readonly Sought[] }> {
  const found = new Map<string, { here: Submodule | undefined; readonly below: Sought[] }>();
  for (const { path, submodule } of folder) {
    const end = path.indexOf('/');
    const name = end < 0 ? path : path.slice(0, end);
    const group = found.get(name) ?? { here: undefined, below: [] };
    found.set(name, group);
    if (end < 0) group.here = submodule;
    else group.below.push({ path: path.slice(end + 1), submodule });
  }
  return found;
}

/**
 * Where a submodule is fetched from. A relative address stands on its parent's, as in git-submodule(1), and stays on its server. What opens the parent is sent to the
 * parent's own origin alone.
 * @throws CodedError `invalid_argument`, and as `parseGitAddress`
 */
export function submoduleAddress(parent: GitAddress, { url }: Submodule, commit: string): GitAddress {
  if (url === undefined) throw new CodedError('invalid_argument', `no url in ${FILE}`);
  const address = parseGitAddress(absolute(parent.url, url), { ref: commit, subdir: '' });
  if (address.authorization !== undefined || address.url.origin !== parent.url.origin) return address;
  return { ...address, authorization: parent.authorization };
}

function absolute(parent: URL, text: string): string {
  const steps = /^(?:\.{1,2}\/)+/.exec(text)?.[0] ?? '';
  if (steps === '') return text;
  const names = parent.pathname.replace(/\/$/, '').split('/');
  for (const step of steps.split('/')) {
    if (step === '..' && names.length < 2) throw new CodedError('invalid_argument', `the url ${JSON.stringify(text.slice(0, 200))} leaves ${parent.host}`);
    if (step === '..') names.pop();
  }
  return `${parent.origin}${[...names, text.slice(steps.length)].join('/').replace(/\/$/, '')}`;
}
