import { Module } from '@nestjs/common';
import type { WorkerConfig } from '#config';
import { asError, systemClock, type Logger } from '#kernel';
import { createNodeQueues, SealedAuth, type NodeQueues } from '#queue';
import { openBuilds } from '../builds/open-builds.js';
import { ActiveJobs } from '../jobs/active-jobs.js';
import type { Engine } from '../engine/open-engine.js';
import { EngineModule } from '../engine/engine.module.js';
import { ActiveRuns } from '../runs/active-runs.js';
import { RunAdopter } from '../runs/run-adopter.js';
import { RunLifecycle } from '../runs/run-lifecycle.js';
import { RunProcessor } from '../runs/run-processor.js';
import { RunJournal } from '../runs/run-journal.js';
import type { RunServices } from '../runs/run-services.js';
import { hostRoutes } from '../host/host-routes.js';
import type { Host } from '../host/open-host.js';
import { processTunnelRoutes } from '../host/process-tunnel-routes.js';
import { OperationProcessor } from '../operations/operation-processor.js';
import { FreshSandboxSource } from '../runs/sandbox-source.js';
import type { EngineStores } from '../runtimes/engine-stores.js';
import { openRuntimes, type WorkingRuntimes } from '../runtimes/open-runtimes.js';
import { runtimeRoutes } from '../runtimes/runtime-routes.js';
import { ENGINE, HOST, LOGGER, STORES, WORKER_CONFIG } from '../tokens.js';
import { RpcServer, type RpcRoute } from './rpc-server.js';
import { runRoutes } from './run-routes.js';
import { newIncarnation, WorkerNode } from './worker-node.js';

const QUEUES = Symbol('NodeQueues');
const RUNTIMES = Symbol('Runtimes');

function assemble(config: WorkerConfig, logger: Logger, engine: Engine, host: Host, runtimes: WorkingRuntimes, queues: NodeQueues): WorkerNode {
  const stop = new AbortController();
  const active = new ActiveRuns();
  const node = { nodeId: config.nodeId, incarnation: newIncarnation(systemClock.now()) };
  const journal = new RunJournal(systemClock, logger);
  const services: RunServices = {
    node,
    claims: queues.claims,
    logs: queues.logs,
    events: queues.events,
    sandboxes: new FreshSandboxSource(engine.runtime, host.services.cgroups),
    runtimes: runtimes.installed,
    active,
    clock: systemClock,
    logger,
    signal: stop.signal,
    reached: (runId, milestone) => {
      journal.reached(runId, milestone);
    },
  };
  const lifecycle = new RunLifecycle(services);
  const health: RpcRoute = { method: 'GET', path: /^\/health$/, handle: () => Promise.resolve({ ...node, ready: workerNode.isReady, runs: active.ids().length }) };
  const activeOperations = new ActiveJobs('operation');
  const operations = new OperationProcessor({
    nodeId: config.nodeId,
    transfers: host.services.transfers,
    quotas: host.services.quotas,
    progress: queues.progress,
    events: queues.events,
    sealed: new SealedAuth(config.nodeRpcToken),
    active: activeOperations,
    clock: systemClock,
    logger,
  });
  const builds = openBuilds({ nodeId: config.nodeId, host: host.services, git: host.git, logs: queues.buildLogs, events: queues.events, clock: systemClock, logger });
  const routes = [health, ...runRoutes(active), ...hostRoutes(host.services, runtimes.images, builds), ...runtimeRoutes(runtimes.installs), activeOperations.cancelRoute(), builds.active.cancelRoute()];
  const rpc = new RpcServer({ listen: config.nodeRpcListen, groupId: config.nodeRpcGroup, token: config.nodeRpcToken, routes, upgrades: processTunnelRoutes(host.services), logger });
  const workerNode: WorkerNode = new WorkerNode({
    services,
    engine: engine.runtime,
    adopter: new RunAdopter(services, lifecycle, engine.runtime),
    processor: new RunProcessor(services, lifecycle),
    consumer: queues.consumer,
    host,
    operations: { processor: operations, consumer: queues.operations(config.nodeId) },
    builds: { ...builds, consumer: queues.builds(config.nodeId) },
    registry: queues.nodes,
    rpc,
    runtimes,
    giveUp: () => {
      stop.abort();
    },
    close: async () => {
      await queues.close();
      await host.closeNetworks().catch((error: unknown) => {
        logger.error({ err: asError(error) }, 'networks could not be taken down');
      });
      // Refused, and rightly, while a sandbox is left.
      await engine.cgroups.removeAll().catch((error: unknown) => {
        logger.warn({ err: asError(error) }, 'the cgroup tree stays');
      });
      await engine.close();
      await host.close();
    },
    shutdownGraceMs: config.shutdownGraceMs,
  });
  return workerNode;
}

@Module({
  imports: [EngineModule],
  providers: [
    { provide: QUEUES, inject: [WORKER_CONFIG, LOGGER], useFactory: (config: WorkerConfig, logger: Logger) => createNodeQueues(config.redis, logger, { concurrency: config.nodeConcurrency }) },
    {
      provide: RUNTIMES,
      inject: [WORKER_CONFIG, LOGGER, STORES, HOST, QUEUES],
      useFactory: (config: WorkerConfig, logger: Logger, stores: EngineStores, { services }: Host, { nodes }: NodeQueues) => openRuntimes({ config, stores, services, nodes, logger }),
    },
    { provide: WorkerNode, inject: [WORKER_CONFIG, LOGGER, ENGINE, HOST, RUNTIMES, QUEUES], useFactory: assemble },
  ],
  exports: [WorkerNode],
})
export class NodeModule {}
