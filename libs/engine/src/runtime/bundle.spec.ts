import { ociConfig } from './bundle.js';
import { seccompProfile } from './seccomp.js';

describe('seccompProfile', () => {
  const profile = seccompProfile('x64');
  const named = (action: string): string[] => profile.syscalls.filter((rule) => rule.action === action && rule.args === undefined).flatMap((rule) => rule.names);

  it('decides every call once, and filters by argument only what no plain rule names', () => {
    const plain = [...named('SCMP_ACT_ALLOW'), ...named('SCMP_ACT_ERRNO')];
    expect(plain.filter((name, at) => plain.indexOf(name) !== at)).toEqual([]);
    const filtered = new Set(profile.syscalls.filter((rule) => rule.args !== undefined).flatMap((rule) => rule.names));
    expect([...filtered].sort()).toEqual(['clone', 'personality', 'socket']);
    expect(plain.filter((name) => filtered.has(name))).toEqual([]);
  });

  it('answers ENOSYS to what it does not know, so that C libraries fall back', () => {
    expect([profile.defaultAction, profile.defaultErrnoRet]).toEqual(['SCMP_ACT_ERRNO', 38]);
  });

  it('allows one ABI alone', () => {
    expect(profile.architectures).toEqual(['SCMP_ARCH_X86_64']);
    expect(seccompProfile('arm64').architectures).toEqual(['SCMP_ARCH_AARCH64']);
  });
});

describe('ociConfig', () => {
  const config = ociConfig({ hostname: 'h', rootPath: '/r/rootfs', agentPath: '/e/bin/sandbar-init', idRange: { hostStart: 1_000_000, size: 65_536 }, coreLimit: 1 }) as {
    process: { noNewPrivileges: boolean; capabilities: Record<string, readonly string[]> };
    mounts: readonly { destination: string; type: string; options: readonly string[] }[];
    linux: { namespaces: readonly { type: string }[]; uidMappings: unknown; gidMappings: unknown };
  };

  it('has every name space of its own and maps no id of the host', () => {
    expect(config.linux.namespaces.map(({ type }) => type).sort()).toEqual(['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts']);
    expect(config.linux.uidMappings).toEqual([{ containerID: 0, hostID: 1_000_000, size: 65_536 }]);
    expect(config.linux.gidMappings).toEqual(config.linux.uidMappings);
  });

  it('gives no capability that reaches the kernel, and nothing to be inherited', () => {
    expect(config.process.noNewPrivileges).toBe(true);
    const given = Object.values(config.process.capabilities).flat();
    for (const refused of ['SYS_ADMIN', 'SYS_PTRACE', 'SYS_MODULE', 'NET_RAW', 'NET_ADMIN', 'MKNOD', 'DAC_READ_SEARCH', 'SYS_RESOURCE']) expect(given).not.toContain(`CAP_${refused}`);
    expect([config.process.capabilities['inheritable'], config.process.capabilities['ambient']]).toEqual([[], []]);
  });

  it('mounts no cgroups, and every tmpfs with a size', () => {
    expect(config.mounts.filter((mount) => mount.type.startsWith('cgroup'))).toEqual([]);
    for (const mount of config.mounts.filter(({ type }) => type === 'tmpfs')) expect(mount.options.join()).toMatch(/size=/);
  });
});
