import { setTimeout as sleep } from 'node:timers/promises';
import type { LogFrame, NodeEvent, RunOutcome } from '#contracts';
import type { GuestAgent, Sandbox } from '#engine';
import { asError } from '#kernel';
import type { ActiveRun } from './active-runs.js';
import { persist } from './persist.js';
import { NO_CHECKPOINT, stepSummarySchema, type RunCheckpoint } from './run-checkpoint.js';
import { RunExecution, type ExecutionEnd } from './run-execution.js';
import type { PlannedStep } from './run-plan.js';
import { RunRecorder } from './run-recorder.js';
import type { Milestone, RunServices } from './run-services.js';

const DESTROY_PAUSES_MS = [100, 1000, 5000];

export interface RunInSandbox {
  readonly sandbox: Sandbox;
  readonly agent: GuestAgent;
  readonly steps: readonly PlannedStep[];
  readonly stdinOpen: boolean;
  readonly initialStdin: Buffer;
  /** What an earlier life of the worker has written; undefined for a run that starts now. */
  readonly earlier?: EarlierWork;
}

export interface EarlierWork {
  readonly seq: number;
  readonly checkpoint: RunCheckpoint;
  readonly frames: readonly LogFrame[];
}

/** From a claimed run in a prepared sandbox to its reported end. */
export class RunLifecycle {
  constructor(private readonly services: RunServices) {}

  async carryOut(run: ActiveRun, place: RunInSandbox): Promise<void> {
    const { clock, logger } = this.services;
    const { sandbox, agent, earlier } = place;
    const recorder = this.recorder(run, earlier?.seq ?? 0, (seq) => {
      agent.acknowledge(seq);
    });
    let started: Promise<void> | undefined;
    const execution = new RunExecution({
      sandbox,
      agent,
      recorder,
      stdin: run.openStdin(place.stdinOpen, place.initialStdin),
      steps: place.steps,
      checkpoint: earlier?.checkpoint ?? NO_CHECKPOINT,
      frames: earlier?.frames ?? [],
      adopted: earlier !== undefined,
      clock,
      logger,
      onStarted: () => {
        started ??= this.publish({ type: 'run.started', ...this.eventHead(run) });
        started.catch(() => undefined);
        void this.reached(run, 'started');
      },
    });
    run.attach(execution);
    try {
      const end = await execution.execute();
      await started;
      await this.conclude(run, recorder, end);
    } finally {
      recorder.abandon();
      agent.close();
    }
    await this.destroy(run, sandbox);
  }

  /** The end of a run whose steps cannot be carried out (any more). */
  async concludeWithout(run: ActiveRun, outcome: RunOutcome, earlier?: EarlierWork): Promise<void> {
    const recorder = this.recorder(run, earlier?.seq ?? 0, () => undefined);
    const checkpoint: RunCheckpoint = { ...NO_CHECKPOINT, outcome: { ...outcome, compile: outcome.compile === null ? null : stepSummarySchema.parse(outcome.compile), run: null } };
    await this.conclude(run, recorder, { outcome, checkpoint });
  }

  /** Tells the control side. At least once: a worker that died between the end frame and here does it again. */
  async report(run: ActiveRun, outcome: RunOutcome): Promise<void> {
    await this.publish({ type: 'run.finished', ...this.eventHead(run), outcome });
    await this.reached(run, 'published');
    this.services.active.remove(run);
  }

  /** Never throws: what stays behind is destroyed when the worker starts next. */
  async destroy(run: ActiveRun | undefined, sandbox: Sandbox): Promise<void> {
    for (const pauseMs of [0, ...DESTROY_PAUSES_MS]) {
      try {
        if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: this.services.signal });
        await sandbox.destroy();
        if (run !== undefined) await this.reached(run, 'destroyed');
        return;
      } catch (error) {
        this.services.logger.error({ err: asError(error), sandboxId: sandbox.id, runId: run?.runId }, 'a sandbox could not be destroyed');
        if (this.services.signal.aborted) return;
      }
    }
  }

  reached(run: ActiveRun, milestone: Milestone): void | Promise<void> {
    return this.services.reached(run.runId, milestone);
  }

  private async conclude(run: ActiveRun, recorder: RunRecorder, { outcome, checkpoint }: ExecutionEnd): Promise<void> {
    await this.reached(run, 'executed');
    const last = outcome.run ?? outcome.compile;
    await recorder.end({ state: outcome.state, exitCode: last?.exitCode ?? null, signal: last?.signal ?? null }, checkpoint);
    await this.reached(run, 'ended');
    await this.report(run, outcome);
  }

  private recorder(run: ActiveRun, seq: number, acknowledge: (seq: number) => void): RunRecorder {
    const { logs, clock, logger, signal } = this.services;
    return new RunRecorder({ runId: run.runId, logs, clock, logger, seq, signal, acknowledge });
  }

  private publish(event: NodeEvent): Promise<void> {
    const { events, signal, logger } = this.services;
    return persist('publishing an event', () => events.publish(event), { signal, logger });
  }

  private eventHead(run: ActiveRun) {
    return { runId: run.runId, tenantId: run.tenantId, nodeId: this.services.node.nodeId, epoch: run.epoch, time: this.services.clock.now() };
  }
}
