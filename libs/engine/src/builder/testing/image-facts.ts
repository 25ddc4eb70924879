import { createHash } from 'node:crypto';
import { readTar, type TarEntry } from '../../tar/index.js';

export type ImageConfig = Readonly<Record<string, unknown>>;

/** What counts of an image's config. */
const CONFIG_KEYS = ['Env', 'Cmd', 'Entrypoint', 'WorkingDir', 'User', 'Labels', 'ExposedPorts', 'Volumes', 'Healthcheck', 'StopSignal', 'Shell', 'OnBuild'] as const;

/** An image in lines that can be compared: `/path` or `config.Key` to a text. Times are not in it. */
export type ImageFacts = ReadonlyMap<string, string>;

/** Two images differ here: what each of them says, or `nothing`. */
export interface Difference {
  readonly of: string;
  readonly ours: string;
  readonly theirs: string;
}

export async function imageFacts(tree: AsyncIterable<Uint8Array>, config: ImageConfig): Promise<ImageFacts> {
  return new Map([...(await treeFacts(tree)), ...configFacts(config)]);
}

export function differences(ours: ImageFacts, theirs: ImageFacts): Difference[] {
  const found: Difference[] = [];
  for (const of of [...new Set([...ours.keys(), ...theirs.keys()])].sort()) {
    const [mine = 'nothing', other = 'nothing'] = [ours.get(of), theirs.get(of)];
    if (mine !== other) found.push({ of, ours: mine, theirs: other });
  }
  return found;
}

/** Each path with its type, mode, owner, content, link target, attributes, and the other names of the same file. */
async function treeFacts(tree: AsyncIterable<Uint8Array>): Promise<Map<string, string>> {
  const facts = new Map<string, string>();
  const names = new Map<string, string[]>();
  for await (const entry of readTar(tree)) {
    const path = absolute(entry.path);
    const first = entry.type === 'hardlink' ? absolute(entry.linkname) : path;
    const group = names.get(first);
    if (group === undefined) names.set(first, [path]);
    else group.push(path);
    facts.set(path, entry.type === 'hardlink' ? (facts.get(first) ?? 'a link to what is not there') : await factOf(entry));
  }
  for (const group of names.values()) {
    if (group.length > 1) for (const path of group) facts.set(path, `${facts.get(path) ?? ''} = ${[...group].sort().join(' ')}`);
  }
  return facts;
}

async function factOf({ type, mode, uid, gid, size, linkname, devmajor, devminor, xattrs, content }: TarEntry): Promise<string> {
  const words: string[] = [type, ...(type === 'symlink' ? [] : [mode.toString(8)]), `${uid}:${gid}`];
  if (type === 'file') {
    const hash = createHash('sha256');
    for await (const chunk of content) hash.update(chunk);
    words.push(`${size} bytes`, hash.digest('hex').slice(0, 12));
  }
  if (type === 'symlink') words.push(`-> ${linkname}`);
  if (type === 'char' || type === 'block') words.push(`${devmajor}:${devminor}`);
  for (const [name, value] of [...xattrs].sort(([one], [other]) => (one < other ? -1 : 1))) words.push(`${name}=${value.toString('hex')}`);
  return words.join(' ');
}

/** What is empty says the same as what is not there. */
function configFacts(config: ImageConfig): [string, string][] {
  return CONFIG_KEYS.flatMap((key): [string, string][] => {
    const text = JSON.stringify(sorted(config[key]));
    return [undefined, 'null', '""', '[]', '{}'].includes(text) ? [] : [[`config.${key}`, text]];
  });
}

/** Members of objects by name; those that say nothing (a health check's default times) left out. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== 0)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}

export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Error(`no object: ${JSON.stringify(value)}`);
  return value as Readonly<Record<string, unknown>>;
}

function absolute(path: string): string {
  return `/${path.replace(/^\.?\/+/, '').replace(/\/+$/, '').replace(/^\.$/, '')}`;
}
