import type { RunJob, RunOutcome } from '#contracts';
import type { GuestAgent, Sandbox, SandboxLimits } from '#engine';
import { asError, CodedError, isCodedError, isId } from '#kernel';
import { ActiveRun } from './active-runs.js';
import { persist } from './persist.js';
import { annotate } from './run-annotation.js';
import type { RunLifecycle } from './run-lifecycle.js';
import { planRun, RUNNER, type RunPlan } from './run-plan.js';
import type { RunServices } from './run-services.js';
import { errorOf, sandboxLimits } from './step-run.js';

/** Making a sandbox is tried so often: nothing of the run has been executed yet, so another try is safe. */
const PREPARE_TRIES = 3;
/** The OCI runtime itself works inside the sandbox's limits until the agent is there; the step's own limits follow before it starts. */
const LEAST_TO_CREATE = { memoryBytes: 64 * 1024 * 1024, pids: 64, cpuMillis: 1000 };

interface Prepared {
  readonly sandbox: Sandbox;
  readonly agent: GuestAgent;
  readonly plan: RunPlan;
  readonly limits: SandboxLimits;
}

/** Takes a job of the queue to the reported end of its run. */
export class RunProcessor {
  constructor(
    private readonly services: RunServices,
    private readonly lifecycle: RunLifecycle,
  ) {}

  /** Resolves when nothing of the run is left here. A job is a hint: it may come twice, late, or for a run that is over. */
  async process(job: RunJob): Promise<void> {
    const { claims, node, active, signal, logger } = this.services;
    const { runId, tenantId } = job;
    if (!isId('run', runId) || !isId('tenant', tenantId)) throw new CodedError('invalid_argument', 'a job without valid ids', { runId, tenantId });
    if (active.get(runId) !== undefined) return;
    const claim = await persist('claiming a run', () => claims.take(runId, node), { signal, logger });
    if (claim === undefined) return;
    const run = new ActiveRun(runId, tenantId, job.requestId, claim.epoch);
    if (!active.add(run)) return;
    try {
      await this.lifecycle.reached(run, 'taken');
      await this.execute(run, job);
    } finally {
      active.remove(run);
    }
  }

  private async execute(run: ActiveRun, job: RunJob): Promise<void> {
    const prepared = await this.prepare(run, job);
    const place = 'sandbox' in prepared ? prepared : undefined;
    try {
      await this.lifecycle.reached(run, 'prepared');
      // Nothing of it was executed: the job comes again, here after the restart or elsewhere.
      if (run.interruption === 'shut_down') throw new CodedError('unavailable', 'the node is shutting down');
      if (!(await this.mayStart(run))) {
        await this.abandon(run, place);
        return;
      }
      await this.lifecycle.reached(run, 'claimed');
    } catch (error) {
      await this.abandon(run, place);
      throw error;
    }
    if (!('sandbox' in prepared)) {
      await this.lifecycle.concludeWithout(run, prepared);
      await this.lifecycle.reached(run, 'destroyed');
      return;
    }
    const { sandbox, agent, plan, limits } = prepared;
    await this.lifecycle.carryOut(run, { sandbox, agent, steps: plan.steps, stdinOpen: plan.stdinOpen, initialStdin: plan.stdin, limits });
  }

  /** From here on it is `started` for everybody: it is never executed a second time. */
  private mayStart(run: ActiveRun): Promise<boolean> {
    const { claims, signal, logger } = this.services;
    return persist('starting a claim', () => claims.start(run.runId, run.epoch), { signal, logger });
  }

  private async abandon(run: ActiveRun, place: Prepared | undefined): Promise<void> {
    if (place === undefined) {
      await this.lifecycle.reached(run, 'destroyed');
      return;
    }
    place.agent.close();
    await this.lifecycle.destroy(run, place.sandbox);
  }

  /** A sandbox with the run's files, or the outcome of a run that cannot have one. */
  private async prepare(run: ActiveRun, job: RunJob): Promise<Prepared | RunOutcome> {
    const { runtimes, signal, logger } = this.services;
    const runtime = runtimes.resolve(job.spec.runtime);
    if (runtime === undefined) return internalError(new CodedError('unsupported', `this node has no runtime ${job.spec.runtime}`));
    let plan: RunPlan;
    try {
      plan = planRun(job.spec, runtime.definition);
    } catch (error) {
      return internalError(error);
    }
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        return await this.furnish(run, job, plan, runtime.chainId);
      } catch (error) {
        logger.warn({ err: asError(error), runId: run.runId, attempt }, 'a sandbox could not be prepared');
        if (error instanceof UnfitFiles) return failed(error.why);
        if (attempt >= PREPARE_TRIES || (isCodedError(error) && PERMANENT.has(error.code))) return internalError(error);
      }
    }
  }

  private async furnish(run: ActiveRun, job: RunJob, plan: RunPlan, chainId: Parameters<RunServices['sandboxes']['acquire']>[0]['chainId']): Promise<Prepared> {
    const first = plan.steps[0] === undefined ? undefined : sandboxLimits(plan.steps[0].limits);
    const limits = {
      memoryBytes: Math.max(LEAST_TO_CREATE.memoryBytes, first?.memoryBytes ?? 0),
      pids: Math.max(LEAST_TO_CREATE.pids, first?.pids ?? 0),
      cpuMillis: Math.max(LEAST_TO_CREATE.cpuMillis, first?.cpuMillis ?? 0),
      diskBytes: plan.diskBytes,
    };
    const { runId, tenantId, requestId, epoch } = run;
    const annotations = annotate({ runId, tenantId, requestId, epoch }, plan);
    const sandbox = await this.services.sandboxes.acquire({ tenantId, tenantLimits: job.tenantLimits, chainId, limits, annotations });
    let agent: GuestAgent | undefined;
    try {
      await this.lifecycle.reached(run, 'created');
      agent = await sandbox.connect(0);
      await this.lifecycle.reached(run, 'connected');
      const connected = agent;
      await Promise.all(plan.files.map((file) => connected.writeFile({ ...file, uid: RUNNER, gid: RUNNER }).catch(unfit)));
      return { sandbox, agent, plan, limits };
    } catch (error) {
      agent?.close();
      await this.lifecycle.destroy(undefined, sandbox);
      throw error;
    }
  }
}

const PERMANENT: ReadonlySet<string> = new Set(['invalid_argument', 'not_found', 'unsupported', 'permission_denied']);

/** The run's own fault: its files are more than its disk, or in each other's way (`a` and `a/b`). */
class UnfitFiles extends Error {
  constructor(readonly why: CodedError) {
    super(why.message, { cause: why });
  }
}

function unfit(error: unknown): never {
  throw isCodedError(error, 'resource_exhausted') || isCodedError(error, 'invalid_argument') ? new UnfitFiles(error) : error;
}

function failed({ code, message }: CodedError): RunOutcome {
  return { state: 'failed', failedStep: null, compile: null, run: null, error: { code, message: `the files of the run cannot be written: ${message}` } };
}

function internalError(error: unknown): RunOutcome {
  return { state: 'internal_error', failedStep: null, compile: null, run: null, error: errorOf(error) };
}
