import { Inject, Injectable } from '@nestjs/common';
import type { OperationJob, OperationProgress, OperationView, Page, RegistryAuthBody } from '#contracts';
import { canonicalName, CodedError, newId, parseId, parseReference, withDefaultTag, type Clock, type TenantId } from '#kernel';
import type { Operation, Repositories } from '#persistence';
import type { OperationProgressStream } from '#queue';
import type { TenantCaller } from '../auth/caller.js';
import { HomeNodes } from '../nodes/home-nodes.service.js';
import { pause } from '../platform/deadline.js';
import { CLOCK, OPERATION_PROGRESS, REPOSITORIES } from '../platform/platform.js';
import { OperationJobs } from './operation-jobs.service.js';
import type { ListOperationsQuery } from './operation-requests.schema.js';
import { toOperationView } from './operation-view.js';

const RETRY_MS = 250;
/** Of a tenant, executing or waiting. */
const MAX_UNFINISHED = 256;

export interface TransferRequest {
  /** As the caller wrote it: `busybox`, `127.0.0.1:5000/app:v2`, `…@sha256:…`. */
  readonly reference: string;
  readonly auth?: RegistryAuthBody | undefined;
  /** Of the call, for the logs. */
  readonly requestId?: string | undefined;
}

export interface PullRequest extends TransferRequest {
  readonly platform?: OperationJob['platform'];
}

/** Pulls and pushes of a tenant's images: recorded, queued at its home node, to be followed and cancelled. */
@Injectable()
export class OperationsService {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(OPERATION_PROGRESS) private readonly progress: OperationProgressStream,
    private readonly homes: HomeNodes,
    private readonly jobs: OperationJobs,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws CodedError `invalid_argument` (the reference), `quota_exceeded`, `unavailable` (no node, no queue) */
  pull(caller: TenantCaller, request: PullRequest): Promise<OperationView> {
    return this.create(caller, 'image.pull', request, request.platform);
  }

  /** @throws as `pull` */
  push(caller: TenantCaller, request: TransferRequest): Promise<OperationView> {
    return this.create(caller, 'image.push', request, undefined);
  }

  /** @throws CodedError `not_found` */
  async get(caller: TenantCaller, id: string): Promise<OperationView> {
    return toOperationView(await this.find(caller.tenant.id, id));
  }

  /** Newest first. @throws CodedError `invalid_argument` */
  async list(caller: TenantCaller, query: ListOperationsQuery): Promise<Page<OperationView>> {
    const { items, nextCursor } = await this.repositories.operations.list(caller.tenant.id, query);
    return { items: items.map(toOperationView), nextCursor };
  }

  /** Idempotent. The wish is in the row before anything is done, so that it outlives a crash. @throws CodedError `not_found` */
  async cancel(caller: TenantCaller, id: string): Promise<{ readonly view: OperationView; readonly final: boolean }> {
    const tenantId = caller.tenant.id;
    const operation = await this.repositories.operations.requestCancel(tenantId, parseId('operation', id), new Date(this.clock.now()));
    if (operation.finishedAt === null) await this.jobs.cancel(operation);
    const after = await this.find(tenantId, id);
    return { view: toOperationView(after), final: after.finishedAt !== null };
  }

  /**
   * Lines after `after`, then those to come, until the one with `end` (given in any case) or `signal`. An hour after the end only that one is left.
   * @throws CodedError `not_found`, with the first line
   */
  async *follow(tenantId: TenantId, id: string, after: number, signal: AbortSignal): AsyncGenerator<OperationProgress, void, undefined> {
    let position = after;
    while (!signal.aborted) {
      const operation = await this.find(tenantId, id);
      if (operation.outcome !== null && (await this.progress.last(operation.id)) === undefined) {
        const { error, result } = operation.outcome;
        yield { seq: position + 1, end: true, ...(error === null ? { aux: result ?? {} } : { error }) };
        return;
      }
      for await (const line of this.progress.follow(operation.id, position, signal)) {
        yield line;
        if (line.end === true) return;
        position = line.seq;
      }
      // The stream went while it was read: it expired, or Redis lost it.
      await pause(RETRY_MS, signal);
    }
  }

  private async create(caller: TenantCaller, kind: Operation['kind'], request: TransferRequest, platform: OperationJob['platform']): Promise<OperationView> {
    const { id: tenantId, limits } = caller.tenant;
    const reference = canonicalName(withDefaultTag(parseReference(request.reference)));
    const now = this.clock.now();
    const nodeId = await this.homes.of(tenantId);
    const operation = await this.repositories.operations.create(
      tenantId,
      {
        id: newId('operation', now),
        kind,
        reference,
        platform: platform ?? null,
        withAuth: request.auth !== undefined,
        nodeId,
        requestId: request.requestId ?? newId('request'),
        createdAt: new Date(now),
      },
      { maxUnfinished: MAX_UNFINISHED },
    );
    try {
      await this.jobs.enqueue(operation, limits, request.auth);
    } catch (error) {
      // The caller hears of it; the reconciler must not do it later all the same.
      await this.jobs.fail(operation, 'the operation could not be queued').catch(() => undefined);
      throw error;
    }
    return toOperationView(operation);
  }

  private async find(tenantId: TenantId, id: string): Promise<Operation> {
    const operation = await this.repositories.operations.find(tenantId, parseId('operation', id));
    if (operation === undefined) throw new CodedError('not_found', 'no such operation', { kind: 'operation' });
    return operation;
  }
}
