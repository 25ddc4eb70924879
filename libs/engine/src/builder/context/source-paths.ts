import { CodedError, PathPattern } from '#kernel';
import type { SpooledArchive, SpooledEntry } from './spooled-archive.js';

/** A file or directory that a COPY takes, and where its content is. */
export interface FoundSource {
  /** Its name as it was asked for: the last component names it at the destination. */
  readonly asked: string;
  /** Where it is, links resolved. */
  readonly path: string;
  readonly entry: SpooledEntry | ImpliedDirectory;
}

/** A directory that only the names below it tell of. */
export interface ImpliedDirectory {
  readonly type: 'directory';
  readonly mode: 0o755;
  readonly uid: 0;
  readonly gid: 0;
}

const IMPLIED: ImpliedDirectory = { type: 'directory', mode: 0o755, uid: 0, gid: 0 };
/** As the kernel's. */
const MAX_LINKS = 40;

/** Looks paths and patterns up in an archive, resolving links inside it: none leads out, whatever it says. */
export class SourcePaths {
  private readonly children = new Map<string, Set<string>>();

  constructor(private readonly archive: SpooledArchive) {
    for (const path of archive.entries.keys()) this.enter(path);
  }

  /**
   * What a source names; a pattern may name many, sorted.
   * @throws CodedError `not_found`: `"/x": not found`; `invalid_argument`: too many links, a pattern that is none
   */
  find(source: string, { followLast }: { readonly followLast: boolean }): FoundSource[] {
    const asked = clean(source);
    if (PathPattern.isLiteral(asked)) {
      const found = this.lookUp(asked, followLast);
      if (found === undefined) throw notFound(source);
      return [{ asked, ...found }];
    }
    const pattern = new PathPattern(asked);
    const matches = [...new Set([...this.children.keys(), ...this.archive.entries.keys()])].filter((path) => path !== '' && pattern.matches(path)).sort();
    if (matches.length === 0) throw notFound(source);
    return matches.flatMap((path) => {
      const found = this.lookUp(path, followLast);
      return found === undefined ? [] : [{ asked: path, ...found }];
    });
  }

  /** Everything below a directory, parents first, as relative paths. */
  *below(directory: string): Generator<{ readonly relative: string; readonly path: string; readonly entry: SpooledEntry | ImpliedDirectory }, void, undefined> {
    const queue = [...(this.children.get(directory) ?? [])].sort();
    for (const name of queue) {
      const path = join(directory, name);
      const entry = this.archive.entries.get(path) ?? IMPLIED;
      yield { relative: name, path, entry };
      if (entry.type === 'directory') for (const each of this.below(path)) yield { ...each, relative: `${name}/${each.relative}` };
    }
  }

  private enter(path: string): void {
    let child = path;
    while (child !== '') {
      const cut = child.lastIndexOf('/');
      const parent = cut < 0 ? '' : child.slice(0, cut);
      const known = this.children.get(parent);
      const name = child.slice(cut + 1);
      if (known?.has(name) === true) return;
      if (known === undefined) this.children.set(parent, new Set([name]));
      else known.add(name);
      child = parent;
    }
  }

  private at(path: string): SpooledEntry | ImpliedDirectory | undefined {
    return this.archive.entries.get(path) ?? (path === '' || this.children.has(path) ? IMPLIED : undefined);
  }

  private lookUp(path: string, followLast: boolean): Omit<FoundSource, 'asked'> | undefined {
    const todo = path.split('/').filter((name) => name !== '');
    let at = '';
    let links = 0;
    for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
      if (name === '..') {
        at = at.includes('/') ? at.slice(0, at.lastIndexOf('/')) : '';
        continue;
      }
      const next = join(at, name);
      const entry = this.at(next);
      if (entry === undefined) return undefined;
      if (entry.type === 'symlink' && (todo.length > 0 || followLast)) {
        if ((links += 1) > MAX_LINKS) throw new CodedError('invalid_argument', `${path.slice(0, 200)}: too many links`);
        if (entry.linkname.startsWith('/')) at = '';
        todo.unshift(...entry.linkname.split('/').filter((each) => each !== '' && each !== '.'));
        continue;
      }
      if (todo.length > 0 && entry.type !== 'directory') return undefined;
      at = next;
    }
    const entry = this.at(at);
    return entry === undefined ? undefined : { path: at, entry };
  }
}

function join(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}

/** Relative to the context, which is the root of all paths in it. */
function clean(text: string): string {
  const names: string[] = [];
  for (const name of text.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.join('/');
}

function notFound(source: string): CodedError {
  return new CodedError('not_found', `file not found in build context or excluded by .dockerignore: stat ${source.slice(0, 200)}: file does not exist`, { source });
}
