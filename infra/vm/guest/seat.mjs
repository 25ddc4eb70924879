import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';

/** The command line that runs `argv` where a person's Sandbar may find itself on a v2 machine. */
export const SEATS = {
  /** Process 1's own: only in a rescue shell. */
  root: (argv) => joined('', argv),
  /** A systemd unit: not at the root, nothing delegated, `cpu` not switched on above it. */
  service: (argv) => joined('system.slice/sandbar.service', argv),
  /** A privileged container: its cgroup is the root of what it sees, and it sits in it. */
  container: (argv) => joined('machine.slice/container', ['unshare', '--cgroup', '--mount', 'sh', '-c', 'umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', 'sh', ...argv]),
};

function joined(path, argv) {
  const dir = join(MOUNT, path);
  mkdirSync(dir, { recursive: true });
  return ['sh', '-c', 'echo 0 > "$1" && shift && exec "$@"', 'sh', join(dir, 'cgroup.procs'), ...argv];
}

/** What a container engine that hands its cgroup over has switched on from the top down. */
export function delegateToContainers() {
  mkdirSync(join(MOUNT, 'machine.slice'), { recursive: true });
  for (const dir of [MOUNT, join(MOUNT, 'machine.slice')]) writeFileSync(join(dir, 'cgroup.subtree_control'), '+cpu +memory +pids');
}
