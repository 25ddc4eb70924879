import { CodedError } from '#kernel';
import type { CreateContainer } from '../containers.js';

/** capabilities(7), in the order of their numbers. */
const ALL = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER ' +
  'SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL ' +
  'SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);
/** The fourteen of Docker's containers. */
const DEFAULT = new Set(
  'CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP'.split(' ').map((name) => `CAP_${name}`),
);

/** What processes of the container may have at most, inside its user name space. `ALL` stands for every one. @throws CodedError `invalid_argument` */
export function containerCapabilities({ add, drop, privileged }: CreateContainer['capabilities']): string[] {
  const added = new Set(add.map((name) => parse(name, 'CapAdd')));
  const dropped = new Set(drop.map((name) => parse(name, 'CapDrop')));
  if (privileged) return [...ALL];
  return ALL.filter((name) => {
    if (added.has(name)) return true;
    if (dropped.has(name)) return false;
    if (added.has('ALL')) return true;
    return DEFAULT.has(name) && !dropped.has('ALL');
  });
}

function parse(text: string, field: string): string {
  const upper = text.toUpperCase();
  if (upper === 'ALL') return upper;
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!ALL.includes(name)) throw new CodedError('invalid_argument', `invalid ${field}: unknown capability: "${name.slice(0, 40)}"`);
  return name;
}
