import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CodedError, errnoOf } from '#kernel';
import { syncDirectory } from '../../linux/index.js';
import { failed, mustRun, runHostProgram } from './host-programs.js';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
export const BLOCK_BYTES = 4096;
/** One inode for each of that many bytes: of 256 bytes each, so tables take 1/64 of the disk. */
const BYTES_PER_INODE = 16_384;
/** mkfs wants the journal to be less than half of it. */
const LEAST_IMAGE_BYTES = 9 * MiB;
/** What is being made; a crash leaves it, `recover` removes it. */
const UNFINISHED = /^\.new-/;

/** Kept free by ext4 for its own tables when all else is full (fs/ext4/super.c: `s_resv_clusters`), by default up to 16 MiB. */
export function reservedBlocksOf(blocks: number): number {
  return Math.min(512, Math.floor(blocks / 50));
}

function journalMiB(usableBytes: number): number {
  if (usableBytes < 512 * MiB) return 4;
  return usableBytes < 16 * GiB ? 16 : 64;
}

/** So large that at least `usableBytes` of file content fit beside the file system's own tables. The surplus is a few MiB. */
export function imageBytesFor(usableBytes: number): number {
  const reserve = Math.min(3 * MiB, usableBytes / 32);
  const bytes = usableBytes + usableBytes / 60 + reserve + journalMiB(usableBytes) * MiB + MiB;
  return Math.max(LEAST_IMAGE_BYTES, Math.ceil(bytes / MiB) * MiB);
}

/**
 * An image file with an empty ext4, whole or not there. `preallocated`: all its blocks are taken now.
 * @throws CodedError `resource_exhausted` when they are not there to take
 */
export async function makeImage(path: string, usableBytes: number, { preallocated }: { readonly preallocated: boolean }): Promise<void> {
  const staged = join(dirname(path), `.new-${randomBytes(6).toString('hex')}-${basename(path)}`);
  try {
    const file = await open(staged, 'wx', 0o600);
    try {
      await file.truncate(imageBytesFor(usableBytes));
    } finally {
      await file.close();
    }
    await mustRun('mkfs.ext4', mkfsArguments(staged, usableBytes));
    if (preallocated) await allocate(staged, imageBytesFor(usableBytes));
    const made = await open(staged, 'r');
    try {
      await made.sync();
    } finally {
      await made.close();
    }
    await rename(staged, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(staged, { force: true });
    throw errnoOf(error) === 'ENOSPC' ? noSpace(imageBytesFor(usableBytes), error) : error;
  }
}

export function isUnfinishedImage(name: string): boolean {
  return UNFINISHED.test(name);
}

function mkfsArguments(path: string, usableBytes: number): string[] {
  return [
    ...['-F', '-q', '-b', String(BLOCK_BYTES), '-m', '0', '-i', String(BYTES_PER_INODE), '-J', `size=${journalMiB(usableBytes)}`],
    // Grows by meta block groups to any size: blocks reserved for its descriptors would end that.
    ...['-O', '^resize_inode,meta_bg'],
    // The file is sparse and new, hence reads as zeros.
    ...['-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0', path],
  ];
}

/** fallocate(2): takes blocks for what of the file's first `bytes` has none, and makes it at least that long. @throws CodedError `resource_exhausted` */
export async function allocate(path: string, bytes: number): Promise<void> {
  const { exitCode, stderr } = await runHostProgram('fallocate', ['--length', String(bytes), path]);
  if (exitCode === 0) return;
  throw /no space left/i.test(stderr) ? noSpace(bytes) : failed('fallocate', exitCode, stderr);
}

function noSpace(bytes: number, cause?: unknown): CodedError {
  return new CodedError('resource_exhausted', 'no space left on device', { neededBytes: bytes }, { cause });
}

/** Makes the file as long as that many usable bytes need; never shorter. @throws as `makeImage` */
export async function lengthenImage(path: string, usableBytes: number, { preallocated }: { readonly preallocated: boolean }): Promise<void> {
  const bytes = imageBytesFor(usableBytes);
  if (preallocated) await allocate(path, bytes);
  else if ((await stat(path)).size < bytes) await truncate(path, bytes);
}

/**
 * Lets a mounted file system fill its device (resize2fs(8), on line). false when this process may not: the kernel asks for CAP_SYS_RESOURCE,
 * which root in a container often lacks (fs/ext4/resize.c: `ext4_resize_begin`).
 */
export async function growMounted(device: string): Promise<boolean> {
  await mustRun('losetup', ['--set-capacity', device]);
  const { exitCode, stderr } = await runHostProgram('resize2fs', [device]);
  if (exitCode !== 0 && /permission denied/i.test(stderr)) return false;
  if (exitCode !== 0) throw failed('resize2fs', exitCode, stderr);
  return true;
}

/** The same for an image that is mounted nowhere. */
export async function growUnmounted(image: string): Promise<void> {
  // -f: it was unmounted cleanly; the check that it asks for otherwise reads all of it.
  await mustRun('resize2fs', ['-f', image]);
}
