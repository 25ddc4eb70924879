import type { CgroupUsage } from '#engine';

/** The least time between two looks at a step's usage. */
const MIN_POLL_MS = 20;
/** The most: whoever waits for a child that was killed for want of memory is not left waiting. */
const MAX_POLL_MS = 100;
/** setTimeout(3) of Node holds 31 bits of milliseconds; limits are far below, a clamp keeps a wrong one from firing at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The clocks of agent and node are read apart from each other. */
const CLOCK_GRAIN_MS = 1;

export interface StepWatchOptions {
  /** Until the wall time is over, milliseconds. */
  readonly wallLeftMs: number;
  /** CPU time of the cgroup now, microseconds. */
  readonly cpuNowUs: number;
  /** CPU time of the cgroup at which the step has used up its own, microseconds. */
  readonly cpuDeadlineUs: number;
  /** The rate the cgroup may use CPU at, thousandths of one CPU. */
  readonly cpuMillis: number;
  /** Kills for want of memory that are not the step's. */
  readonly oomBase: number;
  readonly usage: () => Promise<Pick<CgroupUsage, 'cpuTimeUs' | 'oomKills'>>;
  /** Called once. */
  readonly onExceeded: (what: 'wall' | 'cpu' | 'memory') => void;
}

/**
 * Watches the limits of a step. CPU time is looked at when it could be used up at the earliest, given the rate, and the kernel's kills with
 * it, but at least ten times a second.
 * @returns stops watching
 */
export function watchStep(options: StepWatchOptions): () => void {
  let stopped = false;
  let pollTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    stopped = true;
    clearTimeout(wallTimer);
    clearTimeout(pollTimer);
  };
  const exceed = (what: 'wall' | 'cpu' | 'memory'): void => {
    if (stopped) return;
    stop();
    options.onExceeded(what);
  };
  // A timer counts whole milliseconds from the start of the loop's turn, so it may come early. A step has its time in full.
  const wallEnd = performance.now() + options.wallLeftMs + CLOCK_GRAIN_MS;
  const awaitWall = (): NodeJS.Timeout =>
    setTimeout(
      () => {
        if (performance.now() < wallEnd) wallTimer = awaitWall();
        else exceed('wall');
      },
      clamp(Math.ceil(wallEnd - performance.now())),
    );
  let wallTimer = awaitWall();

  const look = async (): Promise<void> => {
    // A cgroup that cannot be read is one that is going away; the wall clock still holds.
    const usage = await options.usage().catch(() => undefined);
    if (stopped) return;
    if (usage !== undefined && usage.oomKills > options.oomBase) exceed('memory');
    else if (usage !== undefined && usage.cpuTimeUs >= options.cpuDeadlineUs) exceed('cpu');
    else schedule(usage === undefined ? 0 : options.cpuDeadlineUs - usage.cpuTimeUs);
  };
  const schedule = (leftUs: number): void => {
    const earliestMs = Math.ceil(leftUs / options.cpuMillis);
    pollTimer = setTimeout(() => void look(), Math.min(Math.max(MIN_POLL_MS, earliestMs), MAX_POLL_MS));
  };
  schedule(options.cpuDeadlineUs - options.cpuNowUs);
  return stop;
}

function clamp(ms: number): number {
  return Math.min(Math.max(0, ms), MAX_DELAY_MS);
}
