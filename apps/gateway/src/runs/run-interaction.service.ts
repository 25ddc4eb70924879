import { Inject, Injectable } from '@nestjs/common';
import { isFinalRunState, type RunStdin, type RunView } from '#contracts';
import { CodedError, isCodedError, type Clock, type Logger } from '#kernel';
import type { Repositories, Run, RunHead } from '#persistence';
import type { NodeRegistry, RunClaims } from '#queue';
import type { TenantCaller } from '../auth/caller.js';
import { RunAbandonment } from '../control/run-abandonment.service.js';
import { NodeRpcClient } from '../nodes/node-rpc.client.js';
import { CLOCK, LOGGER, NODE_REGISTRY, REPOSITORIES, RUN_CLAIMS } from '../platform/platform.js';
import { toRunView } from './run-view.js';
import { noSuchRun, parseRunId } from './runs.service.js';

/** Finds the node that executes a run. */
@Injectable()
export class RunLocator {
  constructor(
    @Inject(RUN_CLAIMS) private readonly claims: RunClaims,
    @Inject(NODE_REGISTRY) private readonly nodes: NodeRegistry,
  ) {}

  /** Where its node listens; undefined when nobody has it or its node is silent. */
  async rpcUrlOf(run: Pick<Run, 'id' | 'nodeId'>): Promise<string | undefined> {
    const nodeId = (await this.claims.get(run.id))?.nodeId ?? run.nodeId;
    return nodeId === null ? undefined : (await this.nodes.get(nodeId))?.rpcUrl;
  }
}

/** What can be done to a run after its creation. */
@Injectable()
export class RunInteraction {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly locator: RunLocator,
    private readonly abandonment: RunAbandonment,
    private readonly rpc: NodeRpcClient,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Idempotent. The wish is in the row before anything is done, so that it outlives a crash. @throws CodedError `not_found` */
  async cancel(caller: TenantCaller, id: string): Promise<{ view: RunView; final: boolean }> {
    const runId = parseRunId(id);
    let run: Run;
    try {
      run = await this.repositories.runs.requestCancel(caller.tenant.id, runId, new Date(this.clock.now()));
    } catch (error) {
      throw isCodedError(error, 'not_found') ? noSuchRun() : error;
    }
    if (!isFinalRunState(run.state)) {
      await this.carryOutCancel(run);
      run = (await this.repositories.runs.find(caller.tenant.id, runId)) ?? run;
    }
    return { view: toRunView(run), final: isFinalRunState(run.state) };
  }

  /** Also the reconciler's: repeats a cancel whose node did not hear it. */
  async carryOutCancel(run: Pick<RunHead, 'id' | 'tenantId' | 'epoch' | 'nodeId'>): Promise<void> {
    if (await this.abandonment.cancelUnlessStarted(run)) return;
    const rpcUrl = await this.locator.rpcUrlOf(run);
    if (rpcUrl === undefined) return;
    try {
      await this.rpc.cancel(rpcUrl, run.id);
    } catch (error) {
      // Just ended, or its node is away: the reconciler asks again or finds it lost.
      if (!isCodedError(error) || (error.code !== 'not_found' && error.code !== 'unavailable')) throw error;
      this.logger.info({ runId: run.id, tenantId: run.tenantId, reason: error.code }, 'a cancel did not reach its run');
    }
  }

  /** @throws CodedError `not_found`, `failed_precondition` (not started, over, or stdin is closed), `unavailable` */
  async writeStdin(caller: TenantCaller, id: string, stdin: RunStdin): Promise<void> {
    const run = await this.repositories.runs.find(caller.tenant.id, parseRunId(id));
    if (run === undefined) throw noSuchRun();
    if (isFinalRunState(run.state)) throw new CodedError('failed_precondition', 'the run is over');
    if (!run.spec.stdinOpen) throw new CodedError('failed_precondition', 'the run was not created with stdinOpen');
    const rpcUrl = await this.locator.rpcUrlOf(run);
    if (rpcUrl === undefined) throw run.state === 'queued' ? new CodedError('failed_precondition', 'the run has not started', { started: false }) : new CodedError('unavailable', 'the node of the run is away');
    try {
      await this.rpc.stdin(rpcUrl, run.id, stdin);
    } catch (error) {
      if (isCodedError(error, 'not_found')) throw new CodedError('failed_precondition', 'the run is not executing', run.state === 'queued' ? { started: false } : {}, { cause: error });
      throw error;
    }
  }
}
