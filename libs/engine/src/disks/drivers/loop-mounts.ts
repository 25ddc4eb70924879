import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '#kernel';
import { readMounts } from '../../linux/index.js';
import { failed, mustRun, runHostProgram } from './host-programs.js';

/** umount(8): the exit code of a mount that fails, and so of one that is busy. */
const MOUNT_FAILURE = 32;
/** A helper that works on a tree holds the file system for as long; a guest holds it for good. */
const RELEASE_WAITS_MS = [1, 10, 50, 200];

export interface LoopMountOptions {
  /** Deleted files give their blocks back to the image: of a partition never, whose space is taken for good. */
  readonly discard: boolean;
}

export interface LoopDevice {
  /** `/dev/loop3`. */
  readonly device: string;
  readonly image: string;
}

/** Every loop device that has an image, by sysfs (block/loop.c: `loop/backing_file`). */
export async function listLoopDevices(): Promise<LoopDevice[]> {
  const found: LoopDevice[] = [];
  for (const name of await readdir('/sys/block').catch(() => [])) {
    if (!name.startsWith('loop')) continue;
    try {
      const image = (await readFile(join('/sys/block', name, 'loop/backing_file'), 'utf8')).trimEnd();
      if (image !== '') found.push({ device: `/dev/${name}`, image });
    } catch (error) {
      // It has none, or was detached while it was being read.
      if (!['ENOENT', 'ENXIO', 'ENODEV'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
  return found;
}

/** The device that is mounted at that path of this name space. */
export async function mountedDevice(path: string): Promise<string | undefined> {
  return (await readMounts()).find((mount) => mount.mountPoint === path)?.source;
}

/**
 * Attaches the image to a loop device and mounts that; one that is attached already (a crash, or sandboxes that outlive a worker) is used again:
 * two devices over one image would each write their own view of it. The device goes with its last mount. @returns the device
 */
export async function mountImage(image: string, path: string, options: LoopMountOptions): Promise<string> {
  try {
    return await attachAndMount(image, path, options);
  } catch {
    // The device was found attached and its last user let go of it before the mount.
    return attachAndMount(image, path, options);
  }
}

async function attachAndMount(image: string, path: string, { discard }: LoopMountOptions): Promise<string> {
  // Past the page cache of the host: else each block of a tenant's disk is kept in memory twice. Where the file system below cannot, it stays off.
  const device = await mustRun('losetup', ['--find', '--show', '--nooverlap', '--direct-io=on', image]);
  // Inode tables are not zeroed ahead of use (checksums say which inodes are unused): zeroing would take space of the host for nothing.
  const options = ['nosuid', 'nodev', 'noexec', 'noatime', 'noinit_itable', 'errors=remount-ro', discard ? 'discard' : 'nodiscard'];
  try {
    await mustRun('mount', ['-n', '-t', 'ext4', '-o', options.join(','), device, path]);
  } finally {
    // In use, it is only marked to be detached by its last user (LO_FLAGS_AUTOCLEAR); else it goes at once.
    await runHostProgram('losetup', ['--detach', device]);
  }
  return device;
}

/** false when it is busy in this name space. What is not mounted is fine. */
export async function unmount(path: string): Promise<boolean> {
  const { exitCode, stderr } = await runHostProgram('umount', ['-n', path]);
  if (exitCode === 0 || (await mountedDevice(path)) === undefined) return true;
  if (exitCode !== MOUNT_FAILURE) throw failed('umount', exitCode, stderr);
  return false;
}

/** Takes it out of this name space now; who has files open on it keeps them (MNT_DETACH). */
export async function detach(path: string): Promise<void> {
  const { exitCode, stderr } = await runHostProgram('umount', ['-n', '-l', path]);
  if (exitCode !== 0 && (await mountedDevice(path)) !== undefined) throw failed('umount', exitCode, stderr);
}

/** Whether nobody has the image's file system any more, in any name space; waits a moment for those that are about to let go. */
export async function isReleased(image: string): Promise<boolean> {
  for (const waitMs of [0, ...RELEASE_WAITS_MS]) {
    if (waitMs > 0) await sleep(waitMs);
    if (!(await listLoopDevices()).some((loop) => loop.image === image)) return true;
  }
  return false;
}
