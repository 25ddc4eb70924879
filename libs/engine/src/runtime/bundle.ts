import type { IdRange } from '../linux/index.js';
import { SHM, type OciMount } from './bundle-mounts.js';
import { AGENT_CAPABILITIES, ALL_CAPABILITIES, capabilityMask } from './capabilities.js';
import type { SandboxPrivileges } from './runtime.js';
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
  /** For a sandbox in another's network name space, in which the runtime is executed: a mounted sysfs of that. Absent: a name space of its own. */
  readonly sysPath?: string;
  /** RLIMIT_CORE, soft and hard: no program below can raise it. */
  readonly coreLimit: number;
  /** Mounted behind those that every sandbox has; one at /dev/shm takes its place. */
  readonly mounts?: readonly OciMount[];
  /** Absent: that of a run. */
  readonly privileges?: SandboxPrivileges;
}

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

function ownMounts({ agentPath, sysPath, privileges }: BundleSpec): OciMount[] {
  const shmBytes = privileges?.shmBytes ?? SHM_BYTES;
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    // Read-only once the devices are in it: nothing can be hidden there from a look at the disk quota.
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=64k', 'nr_inodes=64', 'ro'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5', 'max=256'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: SHM, type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${shmBytes}`] },
    // Only whoever owns a network name space may mount its sysfs.
    sysPath === undefined
      ? { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] }
      : { destination: '/sys', type: 'bind', source: sysPath, options: ['bind', 'nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: AGENT_GUEST_PATH, type: 'bind', source: agentPath, options: ['bind', 'ro', 'nosuid', 'nodev'] },
  ];
}

/** What the agent may be told of the processes it starts (docs/engine/agent-protocol.md, "What a process gets"). */
function agentArguments(privileges: SandboxPrivileges | undefined): string[] {
  if (privileges === undefined) return [];
  return [`--capabilities=${capabilityMask(privileges.capabilities)}`, ...(privileges.noNewPrivileges ? [] : ['--new-privileges']), ...(privileges.oomScoreAdj === undefined ? [] : [`--oom-score-adj=${privileges.oomScoreAdj}`])];
}

/** A container may be asked for a privileged process at any time; what others get the agent sees to. All of it counts in the sandbox's own user name space alone. */
function agentCapabilities(privileges: SandboxPrivileges | undefined): readonly string[] {
  if (privileges?.noNewPrivileges === false) return ALL_CAPABILITIES;
  return [...new Set<string>([...AGENT_CAPABILITIES, ...(privileges?.capabilities ?? [])])];
}

function allMounts(spec: BundleSpec): OciMount[] {
  const more = spec.mounts ?? [];
  const own = ownMounts(spec);
  const hasShm = spec.privileges?.shmBytes !== 0 && more.every((mount) => mount.destination !== SHM);
  return [...own.filter(({ destination }) => destination !== SHM || hasShm), ...more];
}

/** config.json of the OCI runtime-spec, 1.0. Its one process is the guest agent, PID 1, root of its own user name space. */
export function ociConfig(spec: BundleSpec): object {
  const { privileges } = spec;
  const capabilities = agentCapabilities(privileges);
  const mapping = { containerID: 0, hostID: spec.idRange.hostStart, size: spec.idRange.size };
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: [AGENT_GUEST_PATH, ...agentArguments(privileges)],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities, inheritable: [], ambient: [] },
      noNewPrivileges: privileges?.noNewPrivileges ?? true,
      rlimits: [{ type: 'RLIMIT_CORE', hard: spec.coreLimit, soft: spec.coreLimit }],
    },
    root: { path: spec.rootPath, readonly: privileges?.readOnlyRootfs ?? false },
    hostname: spec.hostname,
    ...(spec.annotations === undefined ? {} : { annotations: spec.annotations }),
    mounts: allMounts(spec),
    linux: {
      namespaces: NAMESPACES.filter((type) => type !== 'network' || spec.sysPath === undefined).map((type) => ({ type })),
      uidMappings: [mapping],
      gidMappings: [mapping],
      ...(spec.cgroupsPath === undefined ? {} : { cgroupsPath: spec.cgroupsPath }),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
      seccomp: seccompProfile(),
      ...(Object.keys(privileges?.sysctls ?? {}).length === 0 ? {} : { sysctl: privileges?.sysctls }),
    },
  };
}
