import { createHash } from 'node:crypto';
import { CodedError, type Digest, finishDigest, PathPattern } from '#kernel';
import { writeTar, type TarEntryInput } from '../../tar/index.js';
import type { FoundSource, ImpliedDirectory, SourcePaths } from './source-paths.js';
import type { SpooledArchive, SpooledEntry } from './spooled-archive.js';

export interface CopyRequest {
  readonly sources: readonly string[];
  /** Absolute. */
  readonly destination: string;
  /** It ends in a slash, or a directory stands there: files go into it. */
  readonly intoDirectory: boolean;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly mode: number | undefined;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** Directories above the destination that are not there yet, the upper ones first. */
  readonly missing: readonly string[];
}

/** A file of the layer that a COPY makes. */
interface CopiedEntry {
  /** In the layer, relative to its root. */
  readonly path: string;
  readonly entry: SpooledEntry | ImpliedDirectory;
  /** A file that the layer has by another name already. */
  readonly linkTo?: string;
  /** Made by the copy and by nobody before: what is said of the files' modes does not go for it. */
  readonly made?: boolean;
}

/** A directory that a COPY makes for what it copies. */
const MADE: ImpliedDirectory = { type: 'directory', mode: 0o755, uid: 0, gid: 0 };

/**
 * What a COPY takes from an archive and where it goes. Its `key` says all that makes the layer what it is, but for times: touching a file changes nothing.
 */
export class CopyPlan {
  private readonly copied: readonly CopiedEntry[];

  /** @throws CodedError `not_found` (a source), `invalid_argument` */
  constructor(
    private readonly archive: SpooledArchive,
    paths: SourcePaths,
    private readonly request: CopyRequest,
  ) {
    const excluded = request.exclude.map((text) => new PathPattern(text.replace(/^\/+/, '')));
    const found = request.sources.flatMap((source) => paths.find(source, { followLast: true }));
    const many = found.length > 1 && found.some(({ entry }) => entry.type !== 'directory');
    if (many && !request.intoDirectory) throw new CodedError('invalid_argument', 'When using COPY with more than one source file, the destination must be a directory and end with a /');
    const made = request.missing.map((path): CopiedEntry => ({ path: inLayer(path), entry: MADE, made: true }));
    this.copied = [...made, ...found.flatMap((source) => withLinks(this.entriesOf(source, paths, excluded)))];
  }

  /** Reckoned each time. */
  get key(): Digest {
    const hash = createHash('sha256');
    const { owner, mode } = this.request;
    for (const { path, entry, linkTo, made } of this.copied) {
      const { uid, gid } = ownerOf(entry, owner);
      const words = [path, entry.type, made === true ? entry.mode : (mode ?? entry.mode), uid, gid, linkTo ?? ''];
      const more = 'offset' in entry ? [entry.size, entry.linkname, entry.digest ?? '', entry.devmajor ?? 0, entry.devminor ?? 0, [...(entry.xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString('hex')])] : [];
      hash.update(`${JSON.stringify([...words, ...more])}\n`);
    }
    return finishDigest(hash);
  }

  /** An uncompressed layer. */
  layer(): AsyncGenerator<Buffer, void, void> {
    return writeTar(this.tarEntries());
  }

  /** How many files, for a report. */
  get size(): number {
    return this.copied.length;
  }

  private entriesOf(source: FoundSource, paths: SourcePaths, excluded: readonly PathPattern[]): CopiedEntry[] {
    const { entry } = source;
    const base = this.placeOf(source);
    if (entry.type !== 'directory') return excluded.some((pattern) => pattern.matchesOrParent(nameOf(source.asked))) ? [] : [{ path: base, entry }];
    const below = [...paths.below(source.path)]
      .filter(({ relative }) => !excluded.some((pattern) => pattern.matchesOrParent(relative)))
      .map(({ relative, entry: each }) => ({ path: base === '' ? relative : `${base}/${relative}`, entry: each }));
    if (base === '') return below;
    // A directory's content is copied, not the directory: the destination has nothing of it, and the layer does not name it unless it is new.
    if (this.request.parents) return [{ path: base, entry }, ...below];
    return this.request.intoDirectory ? below : [{ path: base, entry: MADE, made: true }, ...below];
  }

  private placeOf({ asked, entry }: FoundSource): string {
    const { destination, intoDirectory, parents } = this.request;
    const root = inLayer(destination);
    const below = (name: string): string => [root, name].filter((each) => each !== '').join('/');
    if (parents) return below(asked);
    if (entry.type === 'directory') return root;
    return intoDirectory ? below(nameOf(asked)) : root;
  }

  private *tarEntries(): Generator<TarEntryInput, void, undefined> {
    const { owner, mode } = this.request;
    for (const { path, entry, linkTo, made } of this.copied) {
      const common = { path: entry.type === 'directory' ? `${path}/` : path, ...ownerOf(entry, owner), mode: made === true ? entry.mode : (mode ?? entry.mode) };
      if (linkTo !== undefined) yield { type: 'hardlink', mtimeNs: 0n, ...common, linkname: linkTo };
      else if (!('offset' in entry)) yield { type: 'directory', mtimeNs: 0n, ...common };
      else yield { ...entry, ...common, mode: entry.type === 'symlink' ? entry.mode : common.mode, ...(entry.type === 'file' ? { content: this.archive.content(entry) } : {}) };
    }
  }
}

/** Names of one file stay names of one file, as far as they came together. */
function withLinks(entries: readonly CopiedEntry[]): CopiedEntry[] {
  const first = new Map<SpooledEntry, string>();
  return entries.map((copied) => {
    const { path, entry } = copied;
    if (!('offset' in entry) || entry.type !== 'file') return copied;
    const linkTo = first.get(entry);
    if (linkTo === undefined) first.set(entry, path);
    return linkTo === undefined ? copied : { ...copied, linkTo };
  });
}

/** Without slashes at its ends. */
function inLayer(path: string): string {
  return path.split('/').filter((name) => name !== '').join('/');
}

function ownerOf(entry: { readonly uid: number; readonly gid: number }, owner: CopyRequest['owner']): { readonly uid: number; readonly gid: number } {
  return owner ?? { uid: entry.uid, gid: entry.gid };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
