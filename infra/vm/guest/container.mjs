import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';
const PATH = 'machine.slice/container';

/** The command line that runs `argv` as a privileged container does: its cgroup is the root of what it sees, and it sits in it. */
export function inContainer(argv) {
  mkdirSync(join(MOUNT, PATH), { recursive: true });
  // What a container engine that hands a cgroup over has switched on above it.
  for (const dir of ['', 'machine.slice']) writeFileSync(join(MOUNT, dir, 'cgroup.subtree_control'), '+cpu +memory +pids');
  const enter = 'umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"';
  return ['sh', '-c', 'echo 0 > "$1" && shift && exec "$@"', 'sh', join(MOUNT, PATH, 'cgroup.procs'), 'unshare', '--cgroup', '--mount', 'sh', '-c', enter, 'sh', ...argv];
}
