import type { ImageConfig } from '../../images/index.js';
import type { HealthCheck, HealthResult, HealthState } from '../containers.js';

const NS_PER_MS = 1_000_000;
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, startPeriodMs: 0, startIntervalMs: 5_000, retries: 3 } as const;
const DEFAULT_SHELL = ['/bin/sh', '-c'] as const;
const KEPT_RESULTS = 5;

/** What is asked for, and where that says nothing, the image's. Undefined: nobody asks. */
export function mergeHealth(asked: HealthCheck | undefined, { Healthcheck: image }: ImageConfig['config']): HealthCheck | undefined {
  if (image === undefined) return asked === undefined || asked.test.length === 0 ? undefined : asked;
  const ofImage: HealthCheck = {
    test: image.Test ?? [],
    intervalMs: (image.Interval ?? 0) / NS_PER_MS,
    timeoutMs: (image.Timeout ?? 0) / NS_PER_MS,
    startPeriodMs: (image.StartPeriod ?? 0) / NS_PER_MS,
    startIntervalMs: (image.StartInterval ?? 0) / NS_PER_MS,
    retries: image.Retries ?? 0,
  };
  if (asked === undefined) return ofImage.test.length === 0 ? undefined : ofImage;
  return {
    test: asked.test.length > 0 ? asked.test : ofImage.test,
    intervalMs: asked.intervalMs || ofImage.intervalMs,
    timeoutMs: asked.timeoutMs || ofImage.timeoutMs,
    startPeriodMs: asked.startPeriodMs || ofImage.startPeriodMs,
    startIntervalMs: asked.startIntervalMs || ofImage.startIntervalMs,
    retries: asked.retries || ofImage.retries,
  };
}

export interface HealthSubject {
  readonly effective: { readonly health?: HealthCheck };
  readonly imageConfig: ImageConfig['config'];
}

/** The program to run; undefined: there is nothing to check (nobody asks, `NONE`, or a kind that nobody knows). */
export function healthProbeOf({ effective, imageConfig }: HealthSubject): readonly string[] | undefined {
  const [kind, ...rest] = effective.health?.test ?? [];
  if (rest.length === 0) return undefined;
  if (kind === 'CMD') return rest;
  return kind === 'CMD-SHELL' ? [...(imageConfig.Shell ?? DEFAULT_SHELL), ...rest] : undefined;
}

/** The health of one run, by Docker's rules. */
export class HealthTracker {
  private status: HealthState['status'];
  private failingStreak = 0;
  private readonly log: HealthResult[] = [];
  private readonly check: HealthCheck;

  constructor(
    check: HealthCheck,
    private readonly startedAt: number,
    status: HealthState['status'],
  ) {
    this.check = {
      test: check.test,
      intervalMs: check.intervalMs || DEFAULTS.intervalMs,
      timeoutMs: check.timeoutMs || DEFAULTS.timeoutMs,
      startPeriodMs: check.startPeriodMs || DEFAULTS.startPeriodMs,
      startIntervalMs: check.startIntervalMs || DEFAULTS.startIntervalMs,
      retries: check.retries || DEFAULTS.retries,
    };
    this.status = status;
  }

  get state(): HealthState {
    return { status: this.status, failingStreak: this.failingStreak, log: [...this.log] };
  }

  get timeoutMs(): number {
    return this.check.timeoutMs;
  }

  /** Until the next check. While it is given time to start, and has not shown yet that it has, it is looked at more often. */
  waitMs(now: number): number {
    const { intervalMs, startIntervalMs, startPeriodMs } = this.check;
    return this.status === 'starting' && now - this.startedAt < startPeriodMs ? startIntervalMs : intervalMs;
  }

  /** True: its status has changed. */
  take(result: HealthResult): boolean {
    const before = this.status;
    this.log.push(result);
    if (this.log.length > KEPT_RESULTS) this.log.shift();
    if (result.exitCode === 0) {
      this.failingStreak = 0;
      this.status = 'healthy';
    } else if (this.status !== 'starting' || result.startedAt - this.startedAt >= this.check.startPeriodMs) {
      this.failingStreak += 1;
      if (this.failingStreak >= this.check.retries) this.status = 'unhealthy';
    }
    return this.status !== before;
  }

  /** It runs no more, which nobody would call health. */
  end(): void {
    this.status = 'unhealthy';
  }
}
