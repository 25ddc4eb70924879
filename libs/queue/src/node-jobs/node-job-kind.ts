import { buildJobSchema, operationJobSchema, type BuildJob, type OperationJob } from '#contracts';
import type { NodeId } from '#kernel';

/** Work that one node alone can do, for what it works on is at home there: how its jobs are named, checked and shared out. */
export interface NodeJobKind<J> {
  /** Of one, in the logs; the queue of a node is `<name>s-<node id>`. */
  readonly name: string;
  readonly parse: (data: unknown) => { readonly success: true; readonly data: J } | { readonly success: false; readonly error: { readonly issues: readonly { readonly path: readonly PropertyKey[] }[] } };
  readonly idOf: (job: J) => string;
  readonly tenantOf: (job: J) => string;
  /** Of that tenant at once. */
  readonly shareOf: (job: J) => number;
  /** Of all tenants at once. */
  readonly atOnce: number;
}

export const OPERATION_JOBS: NodeJobKind<OperationJob> = {
  name: 'operation',
  parse: (data) => operationJobSchema.safeParse(data),
  idOf: ({ operationId }) => operationId,
  tenantOf: ({ tenantId }) => tenantId,
  shareOf: ({ concurrentOperations }) => concurrentOperations,
  atOnce: 8,
};

export const BUILD_JOBS: NodeJobKind<BuildJob> = {
  name: 'build',
  parse: (data) => buildJobSchema.safeParse(data),
  idOf: ({ buildId }) => buildId,
  tenantOf: ({ tenantId }) => tenantId,
  shareOf: ({ tenantLimits }) => tenantLimits.concurrentBuilds,
  atOnce: 8,
};

export function nodeQueueName({ name }: Pick<NodeJobKind<never>, 'name'>, nodeId: NodeId): string {
  return `${name}s-${nodeId}`;
}
