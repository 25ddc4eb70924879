/** The least time between two looks at a step's CPU usage. */
const MIN_POLL_MS = 20;
/** setTimeout(3) of Node holds 31 bits of milliseconds; limits are far below, a clamp keeps a wrong one from firing at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export interface StepWatchOptions {
  /** Until the wall time is over, milliseconds. */
  readonly wallLeftMs: number;
  /** CPU time of the cgroup now, microseconds. */
  readonly cpuNowUs: number;
  /** CPU time of the cgroup at which the step has used up its own, microseconds. */
  readonly cpuDeadlineUs: number;
  /** The rate the cgroup may use CPU at, thousandths of one CPU. */
  readonly cpuMillis: number;
  readonly cpuTimeUs: () => Promise<number>;
  readonly onExceeded: (what: 'wall' | 'cpu') => void;
}

/**
 * Watches the clocks of a step. CPU time is looked at when it could be used up at the earliest, given the rate: a sleeping program is
 * looked at once per CPU limit, a busy one a few times.
 * @returns stops watching
 */
export function watchStep(options: StepWatchOptions): () => void {
  let stopped = false;
  let cpuTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    stopped = true;
    clearTimeout(wallTimer);
    clearTimeout(cpuTimer);
  };
  const exceed = (what: 'wall' | 'cpu'): void => {
    if (stopped) return;
    stop();
    options.onExceeded(what);
  };
  const wallTimer = setTimeout(() => {
    exceed('wall');
  }, clamp(options.wallLeftMs));

  const look = async (): Promise<void> => {
    // A cgroup that cannot be read is one that is going away; the wall clock still holds.
    const used = await options.cpuTimeUs().catch(() => undefined);
    if (stopped) return;
    if (used !== undefined && used >= options.cpuDeadlineUs) {
      exceed('cpu');
      return;
    }
    const leftUs = used === undefined ? 0 : options.cpuDeadlineUs - used;
    schedule(leftUs);
  };
  const schedule = (leftUs: number): void => {
    const earliestMs = leftUs / options.cpuMillis;
    cpuTimer = setTimeout(() => void look(), clamp(Math.max(MIN_POLL_MS, Math.ceil(earliestMs))));
  };
  schedule(options.cpuDeadlineUs - options.cpuNowUs);
  return stop;
}

function clamp(ms: number): number {
  return Math.min(Math.max(0, ms), MAX_DELAY_MS);
}
