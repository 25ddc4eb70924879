import type { LogFrame, RunOutcome } from '#contracts';
import { CONTAINER_ANNOTATION, type GuestAgent, type Sandbox, type SandboxRuntime } from '#engine';
import { asError, CodedError } from '#kernel';
import { ActiveRun } from './active-runs.js';
import { persist } from './persist.js';
import { readAnnotation, type RunAnnotation } from './run-annotation.js';
import { NO_CHECKPOINT, parseCheckpoint, type RunCheckpoint } from './run-checkpoint.js';
import type { EarlierWork, RunLifecycle } from './run-lifecycle.js';
import type { RunServices } from './run-services.js';
import { StepOutput } from './step-output.js';
import { errorOf } from './step-run.js';

/** Sandboxes looked at side by side. */
const AT_ONCE = 16;

interface Found {
  readonly run: ActiveRun;
  readonly sandbox: Sandbox;
  readonly annotation: RunAnnotation;
}

/** Takes up the runs that a worker which died has left in their sandboxes, and removes the sandboxes of no use. */
export class RunAdopter {
  constructor(
    private readonly services: RunServices,
    private readonly lifecycle: RunLifecycle,
    private readonly runtime: Pick<SandboxRuntime, 'list'>,
  ) {}

  /**
   * Resolves when it is decided for each sandbox: those to go on with are in `active`, hence in the node's heartbeat. `done`
   * settles when they are over.
   */
  async adopt(): Promise<{ adopted: number; destroyed: number; done: Promise<void> }> {
    // Those of containers are taken up, or removed, by `TenantContainers.recover`.
    const sandboxes = (await this.runtime.list()).filter(({ annotations }) => !(CONTAINER_ANNOTATION in annotations));
    const found: Found[] = [];
    let destroyed = 0;
    await eachOf(sandboxes, AT_ONCE, async (sandbox) => {
      const mine = await this.decide(sandbox);
      if (mine !== undefined) {
        found.push(mine);
        return;
      }
      await this.lifecycle.destroy(undefined, sandbox);
      destroyed += 1;
    });
    const done = Promise.all(found.map((each) => this.goOn(each))).then(() => undefined);
    return { adopted: found.length, destroyed, done };
  }

  private async decide(sandbox: Sandbox): Promise<Found | undefined> {
    const { claims, node, active, signal, logger } = this.services;
    const annotation = readAnnotation(sandbox.annotations);
    if (annotation === undefined) return undefined;
    const { runId, tenantId, requestId, epoch } = annotation;
    const ours = await persist(
      'adopting a run',
      async () => {
        // Only taken: nothing of it was executed, its job comes again and makes a sandbox of its own.
        const claim = await claims.get(runId);
        return claim?.phase === 'started' && claim.epoch === epoch && claims.adopt(runId, epoch, node);
      },
      { signal, logger },
    );
    if (!ours) return undefined;
    const run = new ActiveRun(runId, tenantId, requestId, epoch);
    return active.add(run) ? { run, sandbox, annotation } : undefined;
  }

  private async goOn(found: Found): Promise<void> {
    const { run, sandbox } = found;
    const { logger, active } = this.services;
    try {
      await this.resume(found);
    } catch (error) {
      // Only when the worker gives everything up: the next one finds the sandbox as it is.
      logger.error({ err: asError(error), runId: run.runId, sandboxId: sandbox.id }, 'an adopted run was given up');
    } finally {
      active.remove(run);
    }
  }

  private async resume({ run, sandbox, annotation }: Found): Promise<void> {
    const { logs, signal, logger } = this.services;
    const [last, frames] = await persist('reading a run log', () => Promise.all([logs.last(run.runId), logs.readAll(run.runId)]), { signal, logger });
    const checkpoint = last?.checkpoint === undefined ? NO_CHECKPOINT : parseCheckpoint(last.checkpoint);
    const earlier: EarlierWork = { seq: last?.seq ?? 0, checkpoint: checkpoint ?? NO_CHECKPOINT, frames };
    if (last?.ended === true) {
      // Without an outcome of ours, somebody else has ended the run: there is nothing to tell.
      if (checkpoint?.outcome != null) await this.lifecycle.report(run, restoreOutcome(checkpoint.outcome, frames));
      await this.lifecycle.destroy(run, sandbox);
      return;
    }
    const { plan } = annotation;
    const obstacle = checkpoint === undefined || plan === null ? 'it was too large to be taken up again' : undefined;
    const agent = obstacle === undefined ? await connect(sandbox, earlier.checkpoint.agentSeq) : new CodedError('unavailable', obstacle);
    if (agent instanceof Error || plan === null) {
      await this.lifecycle.concludeWithout(run, await lostOutcome(sandbox, earlier, agent), earlier);
      await this.lifecycle.destroy(run, sandbox);
      return;
    }
    logger.info({ runId: run.runId, sandboxId: sandbox.id, seq: earlier.seq }, 'going on with a run');
    await this.lifecycle.carryOut(run, { sandbox, agent, steps: plan.steps, stdinOpen: plan.stdinOpen, initialStdin: Buffer.from(plan.stdin, 'base64'), earlier });
  }
}

async function connect(sandbox: Sandbox, after: number): Promise<GuestAgent | Error> {
  try {
    return await sandbox.connect(after);
  } catch (error) {
    return asError(error);
  }
}

async function lostOutcome(sandbox: Sandbox, earlier: EarlierWork, why: unknown): Promise<RunOutcome> {
  const usage = await sandbox.usage().catch(() => undefined);
  const { step, compile } = earlier.checkpoint;
  const summary = compile === null ? null : { ...compile, ...outputOf('compile', earlier.frames) };
  const failedStep = step?.name ?? (compile === null ? null : 'run');
  if (usage !== undefined && usage.oomKills > (step?.oomBase ?? 0)) return { state: 'memory_exceeded', failedStep, compile: summary, run: null, error: null };
  const message = `the node restarted and could not go on with the run: ${errorOf(why).message}`;
  return { state: 'lost', failedStep, compile: summary, run: null, error: { code: 'unavailable', message } };
}

function outputOf(step: 'compile' | 'run', frames: readonly LogFrame[]) {
  const output = new StepOutput(Number.MAX_SAFE_INTEGER);
  for (const frame of frames) if (frame.type === 'output' && frame.step === step) output.restore(frame.stream, Buffer.from(frame.data, frame.encoding));
  const { stdout, stderr, encoding } = output.result();
  return { stdout, stderr, encoding };
}

function restoreOutcome(outcome: NonNullable<RunCheckpoint['outcome']>, frames: readonly LogFrame[]): RunOutcome {
  const { compile, run } = outcome;
  return {
    ...outcome,
    compile: compile === null ? null : { ...compile, ...outputOf('compile', frames) },
    run: run === null ? null : { ...run, ...outputOf('run', frames) },
  };
}

async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const next = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, next));
}
