import { createHash, type Hash } from 'node:crypto';
import { mkdir, readFile, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestHex, digestOf, errnoOf, finishDigest, isDigest, type Digest } from '#kernel';
import { StagingArea, syncDirectory, writeFileDurably, type OverlayRootfs } from '../../linux/index.js';
import type { OverlaySource, TreeChange, Trees } from '../../tree/index.js';
import { chainIdOf } from '../chain-id.js';
import type { LayerSource, SnapshotInfo, Snapshotter, WritableLayer } from '../snapshots.js';
import { FallowGround } from './fallow-ground.js';

const NOTHING = digestOf('');
const HEX = /^[0-9a-f]{64}$/;
/** Docker's limit. With a writable layer above, that many short names still fit the page of options that mount(2) takes. */
const MAX_DEPTH = 127;

/**
 * Layers as plain directories: `<chain hex>/fs` holds the files, `<chain hex>/snapshot.json` says what they are. A layer is made in
 * `staging/` and renamed into place when its files are on disk.
 */
export class OverlaySnapshotter implements Snapshotter {
  /** Commits and removals come one after the other: a parent must not go while a child is put on it. */
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly root: string,
    private readonly staging: StagingArea,
    private readonly ground: FallowGround,
    private readonly trees: Trees,
  ) {}

  /** Creates the directories if need be, and sweeps what dead processes left half unpacked or half removed. */
  static async open(root: string, { trees }: { readonly trees: Trees }): Promise<OverlaySnapshotter> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const staging = await StagingArea.open(join(root, 'staging'), 0o700, (path) => trees.remove(path));
    return new OverlaySnapshotter(root, staging, await FallowGround.open(staging.path), trees);
  }

  async unpack({ parent, diffId: expected, tar }: LayerSource): Promise<SnapshotInfo> {
    const lowerDirs = parent === undefined ? [] : await this.layerDirs(parent);
    if (lowerDirs.length >= MAX_DEPTH) throw new CodedError('invalid_argument', 'max depth exceeded', { parent, max: MAX_DEPTH });
    const staged = await this.ground.make(() => this.staging.newPath(), 0o755);
    try {
      await mkdir(join(staged, 'fs'), { mode: 0o755 });
      const hash = createHash('sha256');
      const { bytes } = await this.trees.extract({ root: join(staged, 'fs'), tar: hashed(tar, hash), as: 'layer', lowerDirs });
      const diffId = finishDigest(hash);
      // Some builders make such a layer, but nobody imports one.
      if (expected === undefined && diffId === NOTHING) throw new CodedError('invalid_argument', 'the archive is empty');
      if (expected !== undefined && diffId !== expected) throw new CodedError('digest_mismatch', 'the layer is not the one that was announced', { expected, actual: diffId });
      const snapshot: SnapshotInfo = { chainId: chainIdOf(parent, diffId), parent, diffId, sizeBytes: bytes };
      const known = await this.find(snapshot.chainId);
      if (known !== undefined) return known;
      await writeFileDurably(join(staged, 'snapshot.json'), `${JSON.stringify(snapshot)}\n`);
      // One syncfs(2) in place of an fsync for each of thousands of files.
      await this.trees.sync(staged);
      await this.inTurn(() => this.commit(staged, snapshot));
      return snapshot;
    } finally {
      await this.discard(staged);
    }
  }

  async has(chainId: Digest): Promise<boolean> {
    return (await this.find(chainId)) !== undefined;
  }

  async layerDirs(chainId: Digest): Promise<readonly string[]> {
    const dirs: string[] = [];
    for (let next: Digest | undefined = chainId; next !== undefined; ) {
      if (dirs.length === MAX_DEPTH) throw new CodedError('failed_precondition', 'a stack has too many layers for overlayfs', { chainId, max: MAX_DEPTH });
      const snapshot: SnapshotInfo = await this.info(next);
      dirs.push(join(this.path(next), 'fs'));
      next = snapshot.parent;
    }
    return dirs;
  }

  async rootfs(chainId: Digest, upper: { sizeBytes: number; inodes: number }): Promise<OverlayRootfs> {
    return { kind: 'overlay', lowerDirs: await this.layerDirs(chainId), upper: { kind: 'tmpfs', sizeBytes: upper.sizeBytes, inodes: upper.inodes } };
  }

  async *packChanges({ upperDir }: WritableLayer): AsyncGenerator<Buffer, void, void> {
    yield* this.trees.pack({ source: { kind: 'overlay', lowerDirs: [], upperDir }, as: 'layer' });
  }

  async *packTree(chainId: Digest | undefined, layer: WritableLayer | undefined): AsyncGenerator<Buffer, void, void> {
    yield* this.trees.pack({ source: await this.source(chainId, layer), as: 'files' });
  }

  async changes(chainId: Digest | undefined, layer: WritableLayer): Promise<TreeChange[]> {
    return this.trees.changes(await this.source(chainId, layer));
  }

  async sizeOf(chainId: Digest): Promise<number> {
    const { sizeBytes } = await this.info(chainId);
    return sizeBytes ?? (await this.trees.usage(join(this.path(chainId), 'fs'))).bytes;
  }

  async list(): Promise<SnapshotInfo[]> {
    const names = (await readdir(this.root)).filter((name) => HEX.test(name)).sort();
    const found = await Promise.all(names.map((name) => this.find(`sha256:${name}` as Digest)));
    return found.filter((snapshot) => snapshot !== undefined);
  }

  async remove(chainId: Digest): Promise<void> {
    await this.inTurn(async () => {
      const child = (await this.list()).find((snapshot) => snapshot.parent === chainId);
      if (child) throw new CodedError('failed_precondition', 'another layer stands on this one', { chainId, child: child.chainId });
      const doomed = this.staging.newPath();
      try {
        await rename(this.path(chainId), doomed);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return;
        throw error;
      }
      await syncDirectory(this.root);
      await this.ground.leave(doomed);
      await this.trees.remove(doomed);
    });
  }

  private async source(chainId: Digest | undefined, layer: WritableLayer | undefined): Promise<OverlaySource> {
    const lowerDirs = chainId === undefined ? [] : await this.layerDirs(chainId);
    return { kind: 'overlay', lowerDirs, ...(layer && { upperDir: layer.upperDir }) };
  }

  /** What is left of a layer in the making; nothing when it was committed. */
  private async discard(staged: string): Promise<void> {
    const left = (await readdir(this.staging.path)).some((name) => join(this.staging.path, name) === staged);
    if (!left) return;
    await this.ground.leave(staged);
    await this.trees.remove(staged);
  }

  private async commit(staged: string, snapshot: SnapshotInfo): Promise<void> {
    if (snapshot.parent !== undefined) await this.info(snapshot.parent);
    try {
      await rename(staged, this.path(snapshot.chainId));
    } catch (error) {
      // Another process was first with the same layer.
      if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error;
    }
    await syncDirectory(this.root);
  }

  private async info(chainId: Digest): Promise<SnapshotInfo> {
    const snapshot = await this.find(chainId);
    if (!snapshot) throw new CodedError('not_found', 'no such layer is unpacked here', { chainId });
    return snapshot;
  }

  private async find(chainId: Digest): Promise<SnapshotInfo | undefined> {
    const path = join(this.path(chainId), 'snapshot.json');
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    return parseSnapshot(text, chainId);
  }

  private path(chainId: Digest): string {
    if (!isDigest(chainId)) throw new CodedError('invalid_argument', 'not a sha256 digest');
    return join(this.root, digestHex(chainId));
  }

  private inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.turn.then(action);
    this.turn = result.catch(() => undefined);
    return result;
  }
}

/** The same bytes, all of which the hash has seen when they have been read. */
async function* hashed(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

function parseSnapshot(text: string, chainId: Digest): SnapshotInfo {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('diffId' in value) || !isDigest(value.diffId)) throw damaged(chainId);
  const parent = 'parent' in value ? value.parent : undefined;
  if (parent !== undefined && !isDigest(parent)) throw damaged(chainId);
  if (chainIdOf(parent, value.diffId) !== chainId) throw damaged(chainId);
  const sizeBytes = 'sizeBytes' in value ? value.sizeBytes : undefined;
  if (sizeBytes !== undefined && typeof sizeBytes !== 'number') throw damaged(chainId);
  return { chainId, parent, diffId: value.diffId, ...(sizeBytes !== undefined && { sizeBytes }) };
}

function damaged(chainId: Digest): CodedError {
  return new CodedError('internal', 'the description of an unpacked layer is damaged', { chainId });
}
