import type { TenantId } from '#kernel';

/**
 * Files of containers, running or not: as processes in them see them, volumes and binds included. All paths are resolved inside, by a helper that has entered the
 * container's user and mount name spaces (so it may no more than the container's root may), and by openat2(2); links lead nowhere out. A
 * container that does not run is mounted for the while, in its turn.
 */
export interface ContainerFiles {
  /** Without following a link at the end. @throws CodedError `not_found` (`Could not find the file /x in container X`), `invalid_argument` */
  stat(tenantId: TenantId, text: string, path: string): Promise<FileStat>;
  /** A tar of one file or directory, named by its last component, as `docker cp` wants it. The root is called `/`. `contents`: of a directory, as `.`. */
  pack(tenantId: TenantId, text: string, path: string, options: { readonly contents: boolean }): Promise<{ readonly stat: FileStat; readonly tar: AsyncIterable<Buffer> }>;
  /**
   * Extracts a tar into an existing directory.
   * @throws CodedError `not_found`, `permission_denied` (read-only: `container rootfs is marked read-only`), `invalid_argument` (not a directory: `extraction point is not a directory`; a hostile archive), `resource_exhausted`, `conflict` (`cannot overwrite directory "x" with non-directory "y"`)
   */
  extract(tenantId: TenantId, text: string, path: string, tar: AsyncIterable<Uint8Array>, options: { readonly keepDirectories: boolean; /** Owners as in the archive; false: root. */ readonly keepOwners: boolean }): Promise<void>;

  list(tenantId: TenantId, text: string, path: string): Promise<FileStat[]>;
  /** Of a regular file, from `offset` (below zero: from its end). @throws CodedError `not_found`, `invalid_argument` (no regular file) */
  read(tenantId: TenantId, text: string, path: string, range?: { readonly offset: number; readonly length?: number }): Promise<{ readonly stat: FileStat; readonly bytes: AsyncIterable<Buffer> }>;
  /** Whole or not at all (written beside its place, then renamed). Missing parents are made. */
  write(tenantId: TenantId, text: string, path: string, content: AsyncIterable<Uint8Array>, options: FileWrite): Promise<FileStat>;
  makeDirectory(tenantId: TenantId, text: string, path: string, options: { readonly parents: boolean; readonly mode?: number; readonly uid?: number; readonly gid?: number }): Promise<void>;
  move(tenantId: TenantId, text: string, from: string, to: string, options: { readonly overwrite: boolean }): Promise<void>;
  /** Idempotent with `recursive`. @throws CodedError `not_found`, `conflict` (not empty, without `recursive`) */
  remove(tenantId: TenantId, text: string, path: string, options: { readonly recursive: boolean }): Promise<void>;
  /** Of a running container: changes below a directory until the signal. Starts with one `ready`; `overflow` says that some were missed. */
  watch(tenantId: TenantId, text: string, path: string, options: { readonly recursive: boolean }, signal: AbortSignal): AsyncIterable<FileEvent>;
}

export interface FileStat {
  /** The last component. */
  readonly name: string;
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'char' | 'block';
  readonly sizeBytes: number;
  /** Permission bits with set-id and sticky, 0…07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: number;
  readonly linkTarget: string;
  /** Of one symlink that was asked for: where it leads when all links are followed, absolute; as far as words go when nothing is there. */
  readonly resolvedTarget: string;
}

export interface FileWrite {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly overwrite: boolean;
}

export interface FileEvent {
  readonly kind: 'ready' | 'created' | 'modified' | 'deleted' | 'moved' | 'overflow';
  readonly path: string;
  /** Of `moved`: where it is now. */
  readonly to?: string;
  readonly directory: boolean;
}
