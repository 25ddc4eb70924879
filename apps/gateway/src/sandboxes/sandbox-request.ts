import type { CreateContainerBody, CreateSandbox } from '#contracts';
import { digestHex, digestOf, type TenantId } from '#kernel';
import { canonicalJson } from '#persistence';

/** Of a runtime without a command: it ends with the first signal to stop. */
const KEEP_ALIVE = ['sleep', 'infinity'];
const REQUEST = 'sandboxRequest';

/** The image that a sandbox is made of, and what its programs want in their environment. */
export interface SandboxBase {
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A sandbox as the node makes it. `key`: of a request that may be repeated. */
export function toContainerRequest(tenantId: TenantId, sandbox: CreateSandbox, base: SandboxBase, key: string | undefined): CreateContainerBody {
  const { name, hostname, labels, limits, restart, readOnlyRootfs, autoRemove } = sandbox;
  return {
    ...(key === undefined ? {} : { id: idOfKey(tenantId, key) }),
    ...(name === undefined ? {} : { name }),
    image: base.image,
    process: processOf(sandbox, base),
    ...(hostname === undefined ? {} : { hostname }),
    labels,
    mounts: sandbox.mounts.map(mountOf),
    volumesFrom: [],
    limits,
    network: networkOf(sandbox),
    ...(restart.kind === 'no' ? {} : { restart }),
    ...healthOf(sandbox),
    capabilities: { add: [], drop: [], privileged: false },
    readOnlyRootfs,
    autoRemove,
    clientConfig: key === undefined ? {} : { [REQUEST]: fingerprintOf(sandbox) },
  };
}

/** Equal keys of a tenant are one sandbox, as long as it is there. */
export function idOfKey(tenantId: TenantId, key: string): string {
  return digestHex(digestOf(`sandbox ${tenantId} ${key}`));
}

/** Whether a container was made for that very request. */
export function isAnswerTo(sandbox: CreateSandbox, { clientConfig }: CreateContainerBody): boolean {
  return clientConfig[REQUEST] === fingerprintOf(sandbox);
}

function fingerprintOf(sandbox: CreateSandbox): string {
  return digestOf(canonicalJson(sandbox));
}

function processOf(sandbox: CreateSandbox, base: SandboxBase): CreateContainerBody['process'] {
  const { command, args, runtime, tty, stdin, stopSignal, stopTimeoutSeconds } = sandbox;
  const idle = runtime !== undefined && command === undefined && args === undefined;
  return {
    entrypoint: idle ? KEEP_ALIVE : (command ?? null),
    cmd: args ?? null,
    env: Object.entries({ ...base.env, ...sandbox.env }).map(([name, value]) => `${name}=${value}`),
    workingDir: sandbox.workingDir ?? '',
    user: sandbox.user ?? '',
    tty,
    openStdin: stdin,
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds }),
  };
}

function mountOf(mount: CreateSandbox['mounts'][number]): CreateContainerBody['mounts'][number] {
  switch (mount.kind) {
    case 'volume':
      return { kind: 'volume', ...(mount.volume === undefined ? {} : { name: mount.volume }), destination: mount.path, readOnly: mount.readOnly, noCopy: false };
    case 'bind':
      return { kind: 'bind', hostPath: mount.source, create: true, destination: mount.path, readOnly: mount.readOnly };
    case 'tmpfs':
      return { kind: 'tmpfs', destination: mount.path, ...(mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes }), ...(mount.mode === undefined ? {} : { mode: mount.mode }), readOnly: false };
  }
}

function networkOf({ network }: CreateSandbox): NonNullable<CreateContainerBody['network']> {
  const { mode, egress, ports, aliases } = network;
  return {
    mode,
    endpoints: aliases.length === 0 ? [] : [{ network: mode, aliases }],
    ports: ports.map(({ port, hostPort, hostAddress, protocol }) => ({ containerPort: port, hostPort, hostIp: hostAddress, protocol })),
    publishAll: false,
    links: [],
    dns: { servers: [], search: [], options: [] },
    extraHosts: [],
    egress,
  };
}

function healthOf({ health }: CreateSandbox): Pick<CreateContainerBody, 'health'> {
  if (health === undefined) return {};
  if (health === null) return { health: { test: ['NONE'], intervalMs: 0, timeoutMs: 0, startPeriodMs: 0, startIntervalMs: 0, retries: 0 } };
  const { command, ...times } = health;
  return { health: { test: ['CMD', ...command], ...times } };
}
