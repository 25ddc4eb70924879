import fc from 'fast-check';
import { ociConfig, type BundleSpec } from './bundle.js';
import { mountDestination } from './bundle-mounts.js';
import { capabilityMask, CONTAINER_CAPABILITIES } from './capabilities.js';
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
  const spec: BundleSpec = { hostname: 'h', rootPath: '/r/rootfs', agentPath: '/e/bin/sandbar-init', idRange: { hostStart: 1_000_000, size: 65_536 }, coreLimit: 1 };
  const config = ociConfig(spec) as {
    root: unknown;
    process: {
      args: readonly string[]; noNewPrivileges: boolean; capabilities: Record<string, readonly string[]> };
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

  it('says nothing to the agent of a run', () => {
    expect([config.process.args, config.root]).toEqual([['/dev/.sandbar-init'], { path: '/r/rootfs', readonly: false }]);
  });

  it('tells the agent of a container what its processes may hold', () => {
    const boxed = ociConfig({ ...spec, privileges: { noNewPrivileges: false, capabilities: ['CAP_CHOWN', 'CAP_NET_RAW'], readOnlyRootfs: true, shmBytes: 4096 } }) as typeof config;
    expect([boxed.process.args, boxed.process.noNewPrivileges]).toEqual([['/dev/.sandbar-init', '--capabilities=0000000000002001', '--new-privileges'], false]);
    // The agent hands on what it is told, and all of it to a privileged exec alone.
    expect(capabilityMask(boxed.process.capabilities['bounding'] ?? [])).toBe('000001ffffffffff');
    const strict = ociConfig({ ...spec, privileges: { noNewPrivileges: true, capabilities: ['CAP_CHOWN', 'CAP_NET_RAW'], readOnlyRootfs: true, shmBytes: 4096 } }) as typeof config;
    expect(strict.process.capabilities['bounding']).toEqual([...(config.process.capabilities['bounding'] ?? []), 'CAP_NET_RAW']);
    expect([boxed.process.capabilities['inheritable'], boxed.process.capabilities['ambient']]).toEqual([[], []]);
    expect(boxed.root).toEqual({ path: '/r/rootfs', readonly: true });
    expect(boxed.mounts.find(({ destination }) => destination === '/dev/shm')?.options).toContain('size=4096');
  });
});

describe('capabilityMask', () => {
  it('is the mask that the kernel shows in /proc', () => {
    expect(capabilityMask(CONTAINER_CAPABILITIES)).toBe('00000000a80425fb');
    expect(capabilityMask([])).toBe('0000000000000000');
    expect(capabilityMask(['CAP_CHECKPOINT_RESTORE'])).toBe('0000010000000000');
    expect(() => capabilityMask(['CHOWN'])).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});

describe('mountDestination', () => {
  it('gives normalised paths outside of what the kernel makes, or refuses', () => {
    expect(['/a', '/a//b/', '/a/./b/../c', '/dev/shm', '/dev/shm/x', '/processes', '/device'].map(mountDestination)).toEqual(['/a', '/a/b', '/a/c', '/dev/shm', '/dev/shm/x', '/processes', '/device']);
    const segment = fc.constantFrom('', '.', '..', 'proc', 'sys', 'dev', 'shm', 'a', 'self');
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
        let path: string;
        try {
          path = mountDestination(`/${segments.join('/')}`);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_argument' });
          return;
        }
        expect(path).toMatch(/^(\/[^/]+)+$/);
        expect(path).not.toMatch(/(^|\/)\.\.?(\/|$)|^\/(proc|sys)(\/|$)|^\/dev($|\/(?!shm(\/|$)))/);
        expect(mountDestination(path)).toBe(path);
      }),
    );
  });
});
