import type { ContainerView, SandboxState, SandboxView } from '#contracts';

/** `runtimes.sandbar/python:latest`: what a node calls a runtime among the tenant's images. */
const RUNTIME = /^runtimes\.sandbar\/([^:]+):latest$/;

const STATE_OF: Readonly<Record<ContainerView['state']['status'], SandboxState>> = {
  created: 'created',
  running: 'running',
  paused: 'paused',
  restarting: 'restarting',
  exited: 'stopped',
  removing: 'removing',
  dead: 'removing',
};

/** A container of the tenant's virtual host in the words of the REST API. */
export function toSandboxView(container: ContainerView): SandboxView {
  const { id, name, imageId, request, effective, state, restartCount } = container;
  const over = state.finishedAt !== null && state.status !== 'running' && state.status !== 'paused';
  return {
    id,
    name,
    image: request.image,
    imageId,
    runtime: RUNTIME.exec(request.image)?.[1] ?? null,
    state: STATE_OF[state.status],
    exitCode: over ? state.exitCode : null,
    memoryExceeded: state.oomKilled,
    error: state.error === '' ? null : state.error,
    health: state.health?.status ?? null,
    command: [container.path, ...container.args],
    workingDir: effective.workingDir,
    user: effective.user,
    tty: request.process.tty,
    labels: effective.labels,
    limits: limitsOf(container),
    network: networkOf(container),
    mounts: container.mounts.map((mount) => ({
      kind: mount.kind,
      volume: mount.kind === 'volume' ? (mount.name ?? null) : null,
      source: mount.kind === 'bind' ? mount.source : null,
      path: mount.destination,
      readOnly: mount.readOnly,
    })),
    restart: request.restart ?? { kind: 'no', maxRetries: 0 },
    restartCount,
    autoRemove: request.autoRemove,
    readOnlyRootfs: request.readOnlyRootfs,
    createdAt: iso(container.createdAt),
    startedAt: state.startedAt === null ? null : iso(state.startedAt),
    finishedAt: over ? iso(state.finishedAt ?? 0) : null,
  };
}

function limitsOf({ request: { limits } }: ContainerView): SandboxView['limits'] {
  return {
    memoryBytes: limits.memoryBytes ?? null,
    cpuMillis: limits.cpuMillis ?? null,
    pids: limits.pids ?? null,
    diskBytes: limits.diskBytes ?? null,
    shmBytes: limits.shmBytes ?? null,
  };
}

function networkOf({ request, network }: ContainerView): SandboxView['network'] {
  return {
    mode: network.mode,
    egress: request.network?.egress ?? { kind: 'all' },
    addresses: network.endpoints.flatMap(({ networkName, ipv4Address, macAddress, gateway }) => (ipv4Address === '' ? [] : [{ network: networkName, ipv4: ipv4Address, mac: macAddress, gateway }])),
    ports: network.ports.map(({ containerPort, protocol, hostIp, hostPort }) => ({ port: containerPort, protocol, hostAddress: hostIp, hostPort })),
  };
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
