import type { IdRange } from '../linux/index.js';
import { seccompProfile } from './seccomp.js';

/** Where the guest agent's program is in every sandbox. */
export const AGENT_GUEST_PATH = '/dev/.sandbar-init';

export interface BundleSpec {
  readonly hostname: string;
  /** Absolute path of the mounted root file system. */
  readonly rootPath: string;
  /** The agent's program on the host; readable and executable by anybody, its folders traversable. */
  readonly agentPath: string;
  readonly idRange: IdRange;
  /** For runtimes that join the cgroup themselves. */
  readonly cgroupsPath?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** RLIMIT_CORE, soft and hard: no program below can raise it. */
  readonly coreLimit: number;
}

interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/**
 * What the agent needs to become anybody in the sandbox and to manage its files; it hands on less. Not among them: SYS_ADMIN, SYS_PTRACE,
 * NET_ADMIN, NET_RAW, MKNOD, SYS_MODULE, DAC_READ_SEARCH.
 */
const AGENT_CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const;

/** Host-wide facts of proc and sysfs that no name space hides. */
const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
] as const;

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'] as const;

const NAMESPACES = ['user', 'pid', 'mount', 'network', 'ipc', 'uts', 'cgroup'] as const;
const SHM_BYTES = 64 * 1024 * 1024;

function mounts(agentPath: string): OciMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    // Read-only once the devices are in it: nothing can be hidden there from a look at the disk quota.
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=64k', 'nr_inodes=64', 'ro'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5', 'max=256'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${SHM_BYTES}`] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: AGENT_GUEST_PATH, type: 'bind', source: agentPath, options: ['bind', 'ro', 'nosuid', 'nodev'] },
  ];
}

/** config.json of the OCI runtime-spec, 1.0. Its one process is the guest agent, PID 1, root of its own user name space. */
export function ociConfig(spec: BundleSpec): object {
  const mapping = { containerID: 0, hostID: spec.idRange.hostStart, size: spec.idRange.size };
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: [AGENT_GUEST_PATH],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: AGENT_CAPABILITIES, effective: AGENT_CAPABILITIES, permitted: AGENT_CAPABILITIES, inheritable: [], ambient: [] },
      noNewPrivileges: true,
      rlimits: [{ type: 'RLIMIT_CORE', hard: spec.coreLimit, soft: spec.coreLimit }],
    },
    root: { path: spec.rootPath, readonly: false },
    hostname: spec.hostname,
    ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
    mounts: mounts(spec.agentPath),
    linux: {
      namespaces: NAMESPACES.map((type) => ({ type })),
      uidMappings: [mapping],
      gidMappings: [mapping],
      ...(spec.cgroupsPath === undefined ? {} : { cgroupsPath: spec.cgroupsPath }),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
      seccomp: seccompProfile(),
    },
  };
}
