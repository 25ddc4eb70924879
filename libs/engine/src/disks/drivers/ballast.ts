import { readFile, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CodedError, errnoOf } from '#kernel';
import { allocate, BLOCK_BYTES, reservedBlocksOf } from './ext4-image.js';

/** A file without content whose blocks are taken: what the file system has more than was asked for. Lies at the disk's top, which guests never see. */
const BALLAST = '.ballast';
/** Of root's own folders: `/`, lost+found (4), and four or one more. */
const OWN_BLOCKS = 10;
/** Metadata of the ballast itself; a disk is not touched for less. */
const TOLERANCE_BYTES = 256 * 1024;

export interface Capacity {
  /** What content may take at most, by the ballast of now. */
  readonly usableBytes: number;
  /** Were there no ballast. */
  readonly mostBytes: number;
  readonly availableBytes: number;
  readonly totalInodes: number;
  readonly usedInodes: number;
}

/**
 * Of the file system mounted at `top`. `f_blocks` leaves out its own tables and the journal (`bsddf`, the default); `f_bavail` what it reserves.
 */
export async function capacityOf(top: string, reservedBlocks: number): Promise<Capacity> {
  const [fs, ballastBytes] = await Promise.all([statfs(top), ballastOf(top)]);
  const mostBytes = (fs.blocks - reservedBlocks - OWN_BLOCKS) * fs.bsize;
  return {
    usableBytes: Math.max(0, mostBytes - ballastBytes),
    mostBytes,
    availableBytes: fs.bavail * fs.bsize,
    totalInodes: fs.files,
    usedInodes: fs.files - fs.ffree,
  };
}

export function isNear(usableBytes: number, sizeBytes: number): boolean {
  return Math.abs(usableBytes - sizeBytes) <= TOLERANCE_BYTES;
}

/**
 * Brings what content may take to `sizeBytes`, by the ballast alone. The file system is large enough.
 * @throws CodedError `failed_precondition` when it holds more than that already
 */
export async function trimTo(top: string, sizeBytes: number, reservedBlocks: number): Promise<void> {
  const { usableBytes, mostBytes, availableBytes } = await capacityOf(top, reservedBlocks);
  if (isNear(usableBytes, sizeBytes)) return;
  const path = join(top, BALLAST);
  const before = mostBytes - usableBytes;
  const wanted = Math.max(0, Math.round((mostBytes - sizeBytes) / BLOCK_BYTES) * BLOCK_BYTES);
  if (wanted < before) {
    await truncate(path, wanted);
    return;
  }
  if (wanted - before > availableBytes) throw tooFull(sizeBytes, usableBytes - availableBytes);
  await writeFile(path, '', { flag: 'a', mode: 0o600 });
  try {
    await allocate(path, wanted);
  } catch (error) {
    // Its owner wrote meanwhile. fallocate keeps what it got.
    await truncate(path, before);
    throw error instanceof CodedError && error.code === 'resource_exhausted' ? tooFull(sizeBytes, usableBytes - availableBytes) : error;
  }
}

function tooFull(sizeBytes: number, usedBytes: number): CodedError {
  return new CodedError('failed_precondition', `the disk holds ${usedBytes} bytes, more than its new size of ${sizeBytes}`, { sizeBytes, usedBytes });
}

async function ballastOf(top: string): Promise<number> {
  try {
    return (await stat(join(top, BALLAST))).blocks * 512;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

/**
 * Sets what ext4 keeps for itself to a figure of ours, which it otherwise takes from the size at mount time, so that a disk is as large after a
 * restart as before. Where sysfs is read-only, ext4's own figure counts. @returns blocks
 */
export async function settleReserve(device: string, top: string): Promise<number> {
  const file = join('/sys/fs/ext4', basename(device), 'reserved_clusters');
  const wanted = reservedBlocksOf((await statfs(top)).blocks);
  try {
    await writeFile(file, String(wanted));
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  }
  try {
    return Number((await readFile(file, 'utf8')).trim());
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const { bfree, bavail } = await statfs(top);
    return bfree - bavail;
  }
}
