/** A range of 65536 host uids (and the same gids) that one sandbox's user name space maps to 0…65535. */
export interface IdRange {
  readonly hostStart: number;
  readonly size: number;
}

/**
 * The mounts that make a root file system, as values: components hand them on, only the spawner performs them, in the private
 * mount name space of one launch. So nothing is ever mounted in the node's own name space and a crash leaves no mount behind.
 */
export interface OverlayRootfs {
  readonly kind: 'overlay';
  /** Unpacked layers, **topmost first** (the order of overlayfs' `lowerdir`), each mounted id-mapped to `idRange`. None: an empty file system. At most 128. */
  readonly lowerDirs: readonly string[];
  readonly upper: TmpfsUpper | DirectoryUpper;
}

/** A tmpfs of that many bytes (rounded up to pages) and inodes; it goes with the sandbox. */
export interface TmpfsUpper {
  readonly kind: 'tmpfs';
  readonly sizeBytes: number;
  readonly inodes: number;
}

/**
 * Two directories of the host side by side (in one folder, nothing mounted between), which outlive the sandbox; their names hold none of `,:\\`. One
 * sandbox at a time: overlayfs does not notice a second. Ids on disk are the guest's own (0…65535): the launch mounts them id-mapped
 * and makes the overlay as the shifted root (setfsuid), whose ids the mapping knows; made as the host's root it would be read-only.
 */
export interface DirectoryUpper {
  readonly kind: 'directory';
  readonly upperDir: string;
  readonly workDir: string;
  /** Nothing of it need outlive a crash of the machine: fsync(2) in it does nothing, nor does its unmount, and it is mounted once (overlayfs' `volatile`). Default no. */
  readonly fleeting?: boolean;
}

/**
 * A directory or file of the host that a sandbox sees. The launch opens `base`, resolves `path` inside it (openat2 with RESOLVE_IN_ROOT, no magic
 * links, no mount below the base) because guests may change what is below, clones the mount id-mapped and nodev, without what is mounted below it, and
 * puts it at `binds/N` below the mount point, from where the OCI runtime binds it to its destination.
 */
export interface BindMount {
  /** An absolute path whose last component is a directory and no link. */
  readonly base: string;
  /** '' for the base itself. */
  readonly path: string;
  /** Make missing directories of `path` (0755, the guest's root). */
  readonly ensureDirectory: boolean;
  readonly readOnly: boolean;
}

export type RootfsMount = OverlayRootfs;
