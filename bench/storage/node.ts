import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { FsContentStore, FsTenantImages, HelperTrees, OverlaySnapshotter, TarImageArchives, type ImageRecord } from '#engine';
import { familiarName, parseReference, silentLogger } from '#kernel';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const NAMESPACE = 'bench';

/** The stores of a node without the product around them. */
export class StorageNode {
  readonly folder: string;
  readonly #snapshots: OverlaySnapshotter;
  readonly #images: FsTenantImages;
  readonly #archives: TarImageArchives;

  private constructor(folder: string, snapshots: OverlaySnapshotter, images: FsTenantImages, archives: TarImageArchives) {
    this.folder = folder;
    this.#snapshots = snapshots;
    this.#images = images;
    this.#archives = archives;
  }

  static async open(): Promise<StorageNode> {
    const folder = await mkdtemp(join(tmpdir(), 'bench-storage-'));
    const content = await FsContentStore.open(join(folder, 'content'));
    const trees = new HelperTrees({ program: join(REPOSITORY, 'dist/native/sandbar-tree'), logger: silentLogger });
    const snapshots = await OverlaySnapshotter.open(join(folder, 'snapshots'), { trees });
    const images = await FsTenantImages.open({ root: join(folder, 'images'), content, snapshots });
    return new StorageNode(folder, snapshots, images, new TarImageArchives({ content, images }));
  }

  import(archive: string, name: string): Promise<ImageRecord> {
    return this.#images.importTar(NAMESPACE, { tar: createReadStream(archive), name: parseReference(name), changes: [] });
  }

  async save(name: string, archive: string): Promise<void> {
    await writeFile(archive, this.#archives.save(NAMESPACE, [name]));
  }

  async load(archive: string): Promise<void> {
    await this.#archives.load(NAMESPACE, createReadStream(archive));
  }

  /** What a commit does once the container stands still. */
  async append(base: ImageRecord, upperDir: string, name: string): Promise<void> {
    const layer = this.#snapshots.packChanges({ upperDir, workDir: `${upperDir}.work` });
    await this.#images.append(NAMESPACE, { base: base.id, layer, config: base.config.config, createdBy: 'bench', name: parseReference(name) });
  }

  async remove(name: string): Promise<void> {
    await this.#images.remove(NAMESPACE, familiarName({ ...parseReference(name), tag: 'latest' }), { force: true, keepParents: false });
  }

  /** A writable layer with one new file of that size. */
  async newChange(bytes: number): Promise<string> {
    const upperDir = await mkdtemp(join(this.folder, 'upper-'));
    await mkdir(join(upperDir, 'var'));
    await writeFile(join(upperDir, 'var', 'change'), randomBytes(bytes));
    return upperDir;
  }

  /** A tar of files of 20 MB, random from end to end: nothing compresses away. */
  randomTar(bytes: number): string {
    const tree = join(this.folder, 'random');
    const archive = `${tree}.tar`;
    const count = Math.max(1, Math.round(bytes / 20e6));
    execFileSync('sh', ['-c', 'mkdir "$1" && for i in $(seq "$2"); do head -c 20000000 /dev/urandom > "$1/$i"; done && tar -C "$1" -cf "$3" . && rm -r "$1"', 'sh', tree, String(count), archive]);
    return archive;
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Milliseconds of CPU time of this process and the children that it has reaped: proc_pid_stat(5), fields 14 to 17, ticks of 10 ms. */
export async function cpuOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'latin1');
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15);
  return ticks.reduce((sum, each) => sum + Number(each), 0) * 10;
}

/** proc(5), clear_refs: 5 sets VmHWM to what is resident now. */
export async function resetPeak(): Promise<void> {
  await writeFile('/proc/self/clear_refs', '5');
}

/** Megabytes. */
export async function memory(field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const status = await readFile('/proc/self/status', 'latin1');
  return (Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6;
}
