import { CodedError } from '#kernel';
import { readMounts } from '../linux/index.js';

/** What the kernel shows of itself, and what the bundle covers parts of it with. A disk of a tenant is none of these. */
const OF_THE_BUNDLE = new Set(['proc', 'sysfs', 'tmpfs', 'devtmpfs', 'cgroup', 'cgroup2']);

/**
 * A link of the image may lead a mount into /proc or /sys, where the guest's files would stand for what the kernel says (CVE-2025-52881), and not
 * every OCI runtime refuses that. To be asked while nothing but the agent runs.
 * @throws CodedError `invalid_argument`
 */
export async function assertKernelTreesAreTheKernels(pid: number): Promise<void> {
  const covered = (await readMounts(`/proc/${pid}/mountinfo`)).find(({ mountPoint, fsType }) => /^\/(proc|sys)(\/|$)/.test(mountPoint) && !OF_THE_BUNDLE.has(fsType));
  if (covered === undefined) return;
  const { mountPoint } = covered;
  throw new CodedError('invalid_argument', `"${mountPoint}" cannot be mounted because it is inside /${mountPoint.split('/')[1] ?? ''}`, { destination: mountPoint });
}
