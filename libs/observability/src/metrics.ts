import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** The parts of a run's time: waiting for its turn, making its sandbox, executing its steps. */
export type RunPhase = 'queue' | 'sandbox' | 'execute';

export class RunMetrics {
  private readonly states: Counter<'state'>;
  private readonly phases: Histogram<'phase'>;

  constructor(registry: Registry) {
    this.states = new Counter({ name: 'sandbar_runs_total', help: 'Runs that reached a state.', labelNames: ['state'], registers: [registry] });
    this.phases = new Histogram({
      name: 'sandbar_run_phase_seconds',
      help: 'Time of a run in the queue, while its sandbox was made, and executing.',
      labelNames: ['phase'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900],
      registers: [registry],
    });
  }

  /** A run is now in `state` (a `RunState`: a closed set, hence a safe label). */
  reached(state: string): void {
    this.states.inc({ state });
  }

  spent(phase: RunPhase, milliseconds: number): void {
    this.phases.observe({ phase }, milliseconds / 1000);
  }
}

export class QueueMetrics {
  constructor(private readonly registry: Registry) {}

  /** Asks `depth` at each scrape. A source that fails leaves the last value, not a failed scrape. */
  watch(queue: string, depth: () => Promise<{ waiting: number; active: number }>): void {
    new Gauge({
      name: `sandbar_${queue}_queue_jobs`,
      help: `Jobs of the queue ${queue}, waiting and being worked on.`,
      labelNames: ['state'] as const,
      registers: [this.registry],
      async collect() {
        const counts = await depth().catch(() => undefined);
        if (counts === undefined) return;
        this.set({ state: 'waiting' }, counts.waiting);
        this.set({ state: 'active' }, counts.active);
      },
    });
  }
}

export class HttpMetrics {
  private readonly answers: Histogram<'method' | 'route' | 'status'>;

  constructor(registry: Registry) {
    this.answers = new Histogram({
      name: 'sandbar_http_request_seconds',
      help: 'Answers by route pattern and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
      registers: [registry],
    });
  }

  /** `route` is the pattern (`/v1/runs/:id`), never the path: a path per label would grow without bound. Undefined: no route matched. */
  answered(answer: { method: string; route: string | undefined; status: number; milliseconds: number }): void {
    this.answers.observe({ method: answer.method, route: answer.route ?? 'none', status: String(answer.status) }, answer.milliseconds / 1000);
  }
}

/** All metrics of one process, in a registry of their own. */
export interface Metrics {
  readonly registry: Registry;
  readonly runs: RunMetrics;
  readonly queues: QueueMetrics;
  readonly http: HttpMetrics;
}

/** `app` becomes a label of every metric. Node's own metrics (event loop, memory, GC) are included. */
export function createMetrics(app: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  collectDefaultMetrics({ register: registry });
  return { registry, runs: new RunMetrics(registry), queues: new QueueMetrics(registry), http: new HttpMetrics(registry) };
}
