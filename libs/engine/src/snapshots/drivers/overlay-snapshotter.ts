import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestHex, errnoOf, isDigest, type Digest } from '#kernel';
import { StagingArea, syncDirectory, writeFileDurably, type OverlayRootfs } from '../../linux/index.js';
import { chainIdOf } from '../chain-id.js';
import type { LayerSource, SnapshotInfo, Snapshotter } from '../snapshots.js';
import { extractTar, runTool } from './tar-extraction.js';

const HEX = /^[0-9a-f]{64}$/;
/** overlayfs takes at most 500 lower layers (fs/overlayfs/params.c, OVL_MAX_STACK). */
const MAX_DEPTH = 500;

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
  ) {}

  /** Creates the directories if need be, and sweeps what dead processes left half unpacked or half removed. */
  static async open(root: string): Promise<OverlaySnapshotter> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    return new OverlaySnapshotter(root, await StagingArea.open(join(root, 'staging')));
  }

  async unpack({ parent, diffId: expected, tar }: LayerSource): Promise<SnapshotInfo> {
    if (parent !== undefined) await this.info(parent);
    const staged = this.staging.newPath();
    try {
      await mkdir(join(staged, 'fs'), { recursive: true, mode: 0o755 });
      const diffId = await extractVerified(tar, join(staged, 'fs'), expected);
      const snapshot: SnapshotInfo = { chainId: chainIdOf(parent, diffId), parent, diffId };
      if (!(await this.has(snapshot.chainId))) {
        await writeFileDurably(join(staged, 'snapshot.json'), `${JSON.stringify(snapshot)}\n`);
        // One syncfs(2) in place of an fsync for each of thousands of files.
        await runTool('sync', ['--file-system', staged]);
        await this.inTurn(() => this.commit(staged, snapshot));
      }
      return snapshot;
    } finally {
      await rm(staged, { recursive: true, force: true });
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
      await rm(doomed, { recursive: true, force: true });
    });
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

async function extractVerified(tar: AsyncIterable<Uint8Array>, directory: string, expected: Digest | undefined): Promise<Digest> {
  const actual = await extractTar(tar, directory);
  if (expected !== undefined && actual !== expected) throw new CodedError('digest_mismatch', 'the layer is not the one that was announced', { expected, actual });
  // A whiteout of an OCI layer (layer.md, "Whiteouts") left as a file would show what the layer deletes.
  const whiteout = await runTool('find', [directory, '-name', '.wh.*', '-print', '-quit']);
  if (whiteout !== '') throw new CodedError('invalid_argument', 'layers with whiteouts are not taken', { path: whiteout.trim().slice(directory.length) });
  return actual;
}

function parseSnapshot(text: string, chainId: Digest): SnapshotInfo {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('diffId' in value) || !isDigest(value.diffId)) throw damaged(chainId);
  const parent = 'parent' in value ? value.parent : undefined;
  if (parent !== undefined && !isDigest(parent)) throw damaged(chainId);
  if (chainIdOf(parent, value.diffId) !== chainId) throw damaged(chainId);
  return { chainId, parent, diffId: value.diffId };
}

function damaged(chainId: Digest): CodedError {
  return new CodedError('internal', 'the description of an unpacked layer is damaged', { chainId });
}
