import type { ContainerNetworkView, ContainerView, CreateContainerBody, UpdateContainerBody } from '#contracts';
import type { Container, CreateContainer, UpdateContainer } from '#engine';

export function containerView(container: Container, usage: { readonly writableBytes: number; readonly rootfsBytes: number } | undefined): ContainerView {
  const { id, name, createdAt, imageId, path, args, effective, state, mounts, network, restartCount } = container;
  return {
    id,
    name,
    createdAt,
    imageId,
    // Readonly and mutable arrays are one on the wire.
    request: container.request as CreateContainerBody,
    path,
    args: [...args],
    effective: {
      env: [...effective.env],
      cmd: effective.cmd === null ? null : [...effective.cmd],
      entrypoint: effective.entrypoint === null ? null : [...effective.entrypoint],
      workingDir: effective.workingDir,
      user: effective.user,
      labels: { ...effective.labels },
      volumes: [...effective.volumes],
      exposedPorts: [...effective.exposedPorts],
      ...(effective.health === undefined ? {} : { health: { ...effective.health, test: [...effective.health.test] } }),
    },
    state: {
      status: state.status,
      exitCode: state.exitCode,
      oomKilled: state.oomKilled,
      error: state.error,
      pid: state.pid,
      startedAt: state.startedAt ?? null,
      finishedAt: state.finishedAt ?? null,
      ...(state.health === undefined ? {} : { health: { ...state.health, log: state.health.log.map((result) => ({ ...result })) } }),
    },
    mounts: mounts.map((mount) => ({ ...mount })),
    network: networkBody(network),
    restartCount,
    writableBytes: usage?.writableBytes ?? null,
    rootfsBytes: usage?.rootfsBytes ?? null,
  };
}

/** As `createContainer`. */
export function updateContainer(body: UpdateContainerBody): UpdateContainer {
  return JSON.parse(JSON.stringify(body)) as UpdateContainer;
}

/** Undefined where JSON has nothing is absent for the engine. */
export function createContainer(body: CreateContainerBody): CreateContainer {
  return JSON.parse(JSON.stringify(body)) as CreateContainer;
}

function networkBody({ mode, endpoints, ports }: Container['network']): ContainerNetworkView {
  return {
    mode,
    endpoints: endpoints.map(({ requested, dnsNames, ...endpoint }) => ({ ...endpoint, requested: { ...requested, aliases: [...requested.aliases] }, dnsNames: [...dnsNames] })),
    ports: ports.map((port) => ({ ...port })),
  };
}
