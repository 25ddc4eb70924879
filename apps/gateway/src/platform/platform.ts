import type { Redis } from 'ioredis';
import type { Repositories } from '#persistence';
import type { Admission, AuthInvalidation, BuildLogStream, BuildQueue, NodeEvents, NodeRegistry, OperationProgressStream, OperationQueue, RunBell, RunClaims, RunLogStream, RunQueue, Tickets } from '#queue';

/** Everything outside the process that the gateway stands on: PostgreSQL behind repositories, Redis behind the queue's nouns. */
export interface Platform {
  readonly repositories: Repositories;
  readonly queue: RunQueue;
  readonly admission: Admission;
  readonly claims: RunClaims;
  readonly logs: RunLogStream;
  readonly events: NodeEvents;
  readonly bell: RunBell;
  readonly nodes: NodeRegistry;
  readonly tickets: Tickets;
  readonly invalidation: AuthInvalidation;
  readonly operations: OperationQueue;
  readonly progress: OperationProgressStream;
  readonly builds: BuildQueue;
  readonly buildLogs: BuildLogStream;
  /** For what belongs to gateways alone: rate limits, the reconciler's lease, the settlement journal. */
  readonly redis: Redis;
}

/** Injection tokens: interfaces do not exist at run time. */
export const REPOSITORIES = Symbol('Repositories');
export const RUN_QUEUE = Symbol('RunQueue');
export const ADMISSION = Symbol('Admission');
export const RUN_CLAIMS = Symbol('RunClaims');
export const RUN_LOG_STREAM = Symbol('RunLogStream');
export const NODE_EVENTS = Symbol('NodeEvents');
export const RUN_BELL = Symbol('RunBell');
export const NODE_REGISTRY = Symbol('NodeRegistry');
export const TICKETS = Symbol('Tickets');
export const AUTH_INVALIDATION = Symbol('AuthInvalidation');
export const OPERATION_QUEUE = Symbol('OperationQueue');
export const OPERATION_PROGRESS = Symbol('OperationProgressStream');
export const BUILD_QUEUE = Symbol('BuildQueue');
export const BUILD_LOG_STREAM = Symbol('BuildLogStream');
/** Of NodesModule: `TenantHosts`. */
export const TENANT_HOSTS = Symbol('TenantHosts');
/** `TenantHosts` that tests give in the place of the nodes'; undefined: none. */
export const GIVEN_HOSTS = Symbol('GivenHosts');
export const REDIS = Symbol('Redis');
export const SETTINGS = Symbol('GatewaySettings');
export const LOGGER = Symbol('Logger');
export const CLOCK = Symbol('Clock');
