import { createHash } from 'node:crypto';
import { arch, release } from 'node:os';
import type { ContainerView, TenantLimits } from '#contracts';
import { MAX_API, MIN_API } from './routing.js';

/** The engine whose API this is: clients compare it. Ours stands behind the plus sign. */
const ENGINE_VERSION = '28.2.2';
const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const KERNEL_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
const BUILD_TIME = '2026-01-01T00:00:00.000000000+00:00';

export interface InfoSource {
  readonly tenant: { readonly id: string; readonly name: string; readonly limits: TenantLimits };
  readonly containers: readonly ContainerView[];
  readonly images: number;
  readonly nowMs: number;
}

export function serverHeaders(): Readonly<Record<string, string>> {
  return { 'api-version': MAX_API, 'docker-experimental': 'false', ostype: 'linux', server: `Docker/${ENGINE_VERSION} (linux)` };
}

export function toVersion(sandbarVersion: string): object {
  const [os, architecture] = ['linux', GO_ARCHITECTURES[arch()] ?? arch()];
  const version = `${ENGINE_VERSION}+sandbar.${sandbarVersion}`;
  const facts = { ApiVersion: MAX_API, Arch: architecture, BuildTime: BUILD_TIME, GitCommit: 'sandbar', GoVersion: 'go0', KernelVersion: release(), MinAPIVersion: MIN_API, Os: os };
  return {
    Platform: { Name: 'Sandbar' },
    Components: [{ Name: 'Engine', Version: version, Details: { ...facts, Experimental: 'false' } }],
    Version: version,
    ...facts,
  };
}

/** The tenant's own truth: its limits are the machine that it sees, its containers the only ones. */
export function toInfo({ tenant, containers, images, nowMs }: InfoSource): object {
  const count = (...states: string[]): number => containers.filter(({ state }) => states.includes(state.status)).length;
  return {
    ID: uuidOf(tenant.id),
    Containers: containers.length,
    ContainersRunning: count('running'),
    ContainersPaused: count('paused'),
    ContainersStopped: containers.length - count('running', 'paused'),
    Images: images,
    Driver: 'overlay2',
    DriverStatus: [['Native Overlay Diff', 'true'], ['userxattr', 'false']],
    Plugins: { Volume: ['local'], Network: ['bridge', 'host', 'null'], Authorization: null, Log: ['json-file', 'local'] },
    MemoryLimit: true,
    SwapLimit: false,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: false,
    CPUSet: false,
    PidsLimit: true,
    IPv4Forwarding: true,
    Debug: false,
    NFd: 0,
    OomKillDisable: false,
    NGoroutines: 0,
    SystemTime: new Date(nowMs).toISOString().replace('Z', '000000Z'),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: '2',
    NEventsListener: 0,
    KernelVersion: release(),
    OperatingSystem: 'Sandbar',
    OSVersion: '',
    OSType: 'linux',
    Architecture: KERNEL_ARCHITECTURES[arch()] ?? arch(),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: { IndexConfigs: { 'docker.io': { Mirrors: [], Name: 'docker.io', Official: true, Secure: true } }, InsecureRegistryCIDRs: ['127.0.0.0/8', '::1/128'], Mirrors: null },
    NCPU: Math.max(1, Math.ceil(tenant.limits.cpuMillis / 1000)),
    MemTotal: tenant.limits.memoryBytes,
    GenericResources: null,
    DockerRootDir: '/var/lib/docker',
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: tenant.name,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: ENGINE_VERSION,
    Runtimes: { runc: { path: 'runc' } },
    DefaultRuntime: 'runc',
    Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '', RemoteManagers: null },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'sandbar-init',
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: '' },
    InitCommit: { ID: '' },
    SecurityOptions: ['name=seccomp,profile=builtin', 'name=userns'],
    FirewallBackend: { Driver: 'nftables' },
    CDISpecDirs: [],
    Warnings: null,
  };
}

/** Stable, and says nothing of the tenant's id. */
function uuidOf(id: string): string {
  const hex = createHash('sha256').update(`docker:${id}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
