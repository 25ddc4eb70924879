import type { Readable } from 'node:stream';
import type { FileAttributes, FileEventView, FileStatView, MakeDirectoryBody, MoveFileBody } from '#contracts';

/** Bytes from the node, and the file that they are of. Destroy them when the reader goes away. */
export interface FileBytes {
  readonly stat: FileStatView;
  readonly bytes: Readable;
}

/** Files of a tenant's containers, running or not, by ID or name. As the engine's `ContainerFiles`; `docs/node-rpc.md` has the wire. */
export interface HostFiles {
  /** Without following a link at the end. */
  stat(ref: string, path: string): Promise<FileStatView>;
  list(ref: string, path: string): Promise<FileStatView[]>;
  /** A tar of one file or directory below its own name; `contents`: of a directory's entries. */
  pack(ref: string, path: string, options: { readonly contents: boolean }, signal: AbortSignal): Promise<FileBytes>;
  /** The tar may be compressed by gzip or zstd. */
  extract(ref: string, path: string, tar: Readable, options: { readonly keepDirectories: boolean; readonly keepOwners: boolean }, signal: AbortSignal): Promise<void>;
  /** An offset below zero counts from the end. */
  read(ref: string, path: string, range: { readonly offset: number; readonly length?: number }, signal: AbortSignal): Promise<FileBytes>;
  write(ref: string, path: string, content: Readable, options: FileAttributes & { readonly overwrite: boolean }, signal: AbortSignal): Promise<FileStatView>;
  makeDirectory(ref: string, request: MakeDirectoryBody): Promise<void>;
  move(ref: string, request: MoveFileBody): Promise<void>;
  remove(ref: string, path: string, options: { readonly recursive: boolean }): Promise<void>;
  /** `ready` first. */
  watch(ref: string, path: string, options: { readonly recursive: boolean }, signal: AbortSignal): AsyncIterable<FileEventView>;
}
