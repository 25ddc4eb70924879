import { posix } from 'node:path';
import { CodedError, isCodedError, type TenantId } from '#kernel';
import { decompressed } from '../../images/index.js';
import type { GuestBytes, GuestRoot, GuestTrees } from '../../tree/index.js';
import type { ContainerFiles, FileEvent, FileStat, FileWrite } from '../files.js';
import type { ContainerLife } from './container-life.js';
import type { ContainerTrees } from './container-trees.js';
import { eventOf, fileError, guestPath, statOf } from './file-views.js';

const ROOT = { uid: 0, gid: 0 } as const;

type Options<M extends keyof ContainerFiles> = Parameters<ContainerFiles[M]>[3];

/** Files of the containers that `find` knows. */
export class TenantContainerFiles implements ContainerFiles {
  constructor(
    private readonly guest: GuestTrees,
    private readonly trees: ContainerTrees,
    private readonly find: (tenantId: TenantId, text: string) => ContainerLife,
  ) {}

  stat(tenantId: TenantId, text: string, path: string): Promise<FileStat> {
    return this.on(tenantId, text, path, async (root, at) => statOf(await this.guest.stat(root, at), at));
  }

  async pack(tenantId: TenantId, text: string, path: string, { contents }: { readonly contents: boolean }): Promise<{ readonly stat: FileStat; readonly tar: AsyncIterable<Buffer> }> {
    const at = guestPath(path);
    const name = contents ? '.' : posix.basename(posix.resolve('/', at)) || '/';
    const { file, bytes } = await this.streamed(tenantId, text, at, (root) => this.guest.pack(root, at, name));
    this.find(tenantId, text).publish('archive-path');
    return { stat: statOf(file, at), tar: bytes };
  }

  async extract(tenantId: TenantId, text: string, path: string, tar: AsyncIterable<Uint8Array>, { keepDirectories, keepOwners }: { readonly keepDirectories: boolean; readonly keepOwners: boolean }): Promise<void> {
    await this.on(tenantId, text, path, async (root, into) => {
      try {
        await this.guest.extract(root, { into, tar: decompressed(tar), sameKinds: keepDirectories, ...(keepOwners ? {} : { owner: ROOT }) });
      } catch (error) {
        if (isCodedError(error) && error.details.step === 'open the path' && error.details.errno === 'ENOTDIR') throw new CodedError('invalid_argument', 'extraction point is not a directory', { path }, { cause: error });
        throw error;
      }
    });
    this.find(tenantId, text).publish('extract-to-dir');
  }

  list(tenantId: TenantId, text: string, path: string): Promise<FileStat[]> {
    return this.on(tenantId, text, path, async (root, at) => (await this.guest.list(root, at)).map((file) => statOf(file, posix.join(posix.resolve('/', at), file.path))));
  }

  async read(tenantId: TenantId, text: string, path: string, range: { readonly offset: number; readonly length?: number } = { offset: 0 }): Promise<{ readonly stat: FileStat; readonly bytes: AsyncIterable<Buffer> }> {
    const at = guestPath(path);
    const { file, bytes } = await this.streamed(tenantId, text, at, (root) => this.guest.read(root, at, range));
    return { stat: statOf(file, at), bytes };
  }

  write(tenantId: TenantId, text: string, path: string, content: AsyncIterable<Uint8Array>, options: FileWrite): Promise<FileStat> {
    return this.on(tenantId, text, path, async (root, at) => statOf(await this.guest.write(root, at, content, options), at));
  }

  makeDirectory(tenantId: TenantId, text: string, path: string, options: Options<'makeDirectory'>): Promise<void> {
    return this.on(tenantId, text, path, (root, at) => this.guest.makeDirectory(root, withoutSlash(at), options));
  }

  move(tenantId: TenantId, text: string, from: string, to: string, options: { readonly overwrite: boolean }): Promise<void> {
    return this.on(tenantId, text, from, async (root, given) => {
      const [old, place] = [withoutSlash(given), withoutSlash(guestPath(to))];
      if (!(await this.guest.rename(root, old, place, options))) await this.carry(root, old, place, options.overwrite);
    });
  }

  remove(tenantId: TenantId, text: string, path: string, options: { readonly recursive: boolean }): Promise<void> {
    return this.on(tenantId, text, path, async (root, at) => {
      try {
        await this.guest.remove(root, withoutSlash(at), options);
      } catch (error) {
        if (!options.recursive || !isCodedError(error, 'not_found')) throw error;
      }
    });
  }

  async *watch(tenantId: TenantId, text: string, path: string, options: { readonly recursive: boolean }, signal: AbortSignal): AsyncGenerator<FileEvent, void, void> {
    const at = guestPath(path);
    const { root, release } = this.trees.running(this.find(tenantId, text));
    try {
      for await (const event of this.guest.watch(root, at, options, signal)) yield eventOf(event, at);
    } catch (error) {
      throw fileError(error, text, path);
    } finally {
      await release();
    }
  }

  /** What was mounted of containers that do not run goes. */
  close(): Promise<void> {
    return this.trees.close();
  }

  /** To where the kernel cannot rename: copied, then removed. Not atomic. */
  private async carry(root: GuestRoot, from: string, to: string, overwrite: boolean): Promise<void> {
    if (posix.resolve(to).startsWith(`${posix.resolve(from)}/`)) throw new CodedError('invalid_argument', 'a directory cannot be moved into itself');
    const there = await this.guest.stat(root, to).catch((error: unknown) => {
      if (isCodedError(error, 'not_found')) return undefined;
      throw error;
    });
    if (there !== undefined && !overwrite) throw new CodedError('already_exists', `file exists: ${to}`);
    // rename(2) replaces an empty directory, and no other.
    if (there?.kind === 'directory') await this.guest.remove(root, to, { recursive: false });
    const { bytes } = await this.guest.pack(root, from, posix.basename(to));
    try {
      await this.guest.extract(root, { into: posix.dirname(to), tar: bytes, sameKinds: true });
    } finally {
      await bytes.return?.();
    }
    await this.guest.remove(root, from, { recursive: true });
  }

  private async on<T>(tenantId: TenantId, text: string, path: string, work: (root: GuestRoot, path: string) => Promise<T>): Promise<T> {
    const at = guestPath(path);
    try {
      return await this.trees.within(this.find(tenantId, text), (root) => work(root, at));
    } catch (error) {
      throw fileError(error, text, path);
    }
  }

  private async streamed(tenantId: TenantId, text: string, path: string, work: (root: GuestRoot) => Promise<GuestBytes>): Promise<GuestBytes> {
    try {
      return await this.trees.streamed(this.find(tenantId, text), work);
    } catch (error) {
      throw fileError(error, text, path);
    }
  }
}

/** Of a name that is made, moved or removed: what stands after it would name something else. */
function withoutSlash(path: string): string {
  return path.replace(/\/+$/, '') || '/';
}
