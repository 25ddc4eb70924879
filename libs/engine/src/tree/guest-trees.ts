/**
 * Files as the processes of a running sandbox see them, its volumes and its tmpfs among them. The helper enters the sandbox's user name space, then its mount name
 * space and root, and may from then on no more than the sandbox's root may: ids are the sandbox's own, links lead nowhere out. Its cgroup is the sandbox's, so that the memory it takes and what it
 * writes to a tmpfs are the sandbox's, and it never outlives it. The kernel's own file systems (/proc, /sys, …) are no part of the tree.
 *
 * All throw CodedError `not_found` (nothing at the path), `unavailable` (the sandbox has gone), `invalid_argument` (a path that cannot be one),
 * `resource_exhausted` (ENOSPC, EDQUOT, ENOMEM), `permission_denied` (read-only: details.readOnly is `root` or `mount`).
 */
export interface GuestTrees {
  /** Without following a link at the end. */
  stat(root: GuestRoot, path: string): Promise<GuestFile>;
  /** Sorted by the bytes of their names. At most 20,000. */
  list(root: GuestRoot, path: string): Promise<GuestFile[]>;
  /** What is at `path`, in the tar called `name`; `.` for a directory's own entries. A link at the end is archived as such. */
  pack(root: GuestRoot, path: string, name: string): Promise<GuestBytes>;
  /**
   * Extracts into an existing directory, whose own entry in the tar counts for nothing.
   * @throws CodedError `conflict` (sameKinds), `invalid_argument` (a hostile tar; no directory: details.errno is ENOTDIR)
   */
  extract(root: GuestRoot, request: GuestExtract): Promise<void>;
  /** Of a regular file. An offset below zero counts from its end. A file that becomes shorter meanwhile ends the stream with an error. */
  read(root: GuestRoot, path: string, range: { readonly offset: number; readonly length?: number }): Promise<GuestBytes>;
  /** Written beside its place, then renamed. Missing parents are made. @throws CodedError `already_exists`, `conflict` (a directory is there) */
  write(root: GuestRoot, path: string, content: AsyncIterable<Uint8Array>, options: GuestAttributes & { readonly overwrite: boolean }): Promise<GuestFile>;
  /** With `parents`, missing ones are made too, and one that is there is fine. @throws CodedError `already_exists` */
  makeDirectory(root: GuestRoot, path: string, options: GuestAttributes & { readonly parents: boolean }): Promise<void>;
  /** False: the kernel cannot rename so far (another mount, a directory of a lower layer). @throws CodedError `already_exists`, `conflict` */
  rename(root: GuestRoot, from: string, to: string, options: { readonly overwrite: boolean }): Promise<boolean>;
  /** @throws CodedError `conflict` (not empty; something is mounted there) */
  remove(root: GuestRoot, path: string, options: { readonly recursive: boolean }): Promise<void>;
  /** Paths are relative to the directory. Ends with the signal, and when the directory goes. */
  watch(root: GuestRoot, path: string, options: { readonly recursive: boolean }, signal: AbortSignal): AsyncIterable<GuestEvent>;
}

/** The first process of a sandbox: who has another start time is another process. */
export interface GuestRoot {
  readonly pid: number;
  readonly startTicks: number;
  /** Empty for a frozen sandbox, whose cgroup cannot be joined: then nothing is written to a tmpfs. */
  readonly cgroupJoinFiles: readonly string[];
}

export interface GuestFile {
  /** As it was asked for; of `list`, the name. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Of a symlink. */
  readonly linkTarget: string;
  /** Of `stat`, of a symlink: where it leads when all links are followed, absolute; '' when nowhere. */
  readonly resolvedTarget: string;
}

/** To be read to its end or left by `return`, also when nobody has begun to read: a process stands behind it. */
export interface GuestBytes {
  readonly file: GuestFile;
  readonly bytes: AsyncIterableIterator<Buffer>;
}

export interface GuestExtract {
  readonly into: string;
  readonly tar: AsyncIterable<Uint8Array>;
  /** Neither does a directory make way for something else, nor the other way round. */
  readonly sameKinds: boolean;
  /** Of every entry; absent: as the tar says. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** What is not said stays as it is, or becomes root's, 0644 or 0755. */
export interface GuestAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface GuestEvent {
  readonly kind: 'ready' | 'created' | 'modified' | 'deleted' | 'moved' | 'overflow';
  readonly directory: boolean;
  readonly path: string;
  /** Of `moved`. */
  readonly to: string;
}
