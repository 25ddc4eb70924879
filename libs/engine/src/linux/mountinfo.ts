import { readFile } from 'node:fs/promises';

/** One line of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). */
export interface MountEntry {
  readonly id: number;
  /** Of the mount that this one lies on. */
  readonly parentId: number;
  /** Its peers see what is mounted and unmounted on it. undefined: it has none. */
  readonly peerGroup: number | undefined;
  /** Of the mounted file system, the directory that is the mount's root. */
  readonly root: string;
  readonly mountPoint: string;
  readonly fsType: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

export async function readMounts(path = '/proc/self/mountinfo'): Promise<MountEntry[]> {
  return parseMountInfo(await readFile(path, 'utf8'));
}

export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    // Optional fields stand before the lone dash, so both halves are counted from it.
    const [left, right] = line.split(' - ', 2);
    if (left === undefined || right === undefined) continue;
    const [id, parentId, , root, mountPoint, , ...optional] = left.split(' ');
    const [fsType, source, superOptions] = right.split(' ');
    if (root === undefined || mountPoint === undefined || fsType === undefined) continue;
    const shared = optional.find((field) => field.startsWith('shared:'))?.slice('shared:'.length);
    const peerGroup = shared === undefined ? undefined : Number(shared);
    entries.push({ id: Number(id), parentId: Number(parentId), peerGroup, root: unescape(root), mountPoint: unescape(mountPoint), fsType, source: unescape(source ?? ''), superOptions: (superOptions ?? '').split(',') });
  }
  return entries;
}

/** Blank, tab, newline and backslash are written in octal. */
function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
