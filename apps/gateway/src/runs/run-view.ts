import type { RunView } from '#contracts';
import type { Run } from '#persistence';

/** A row as the API shows it. */
export function toRunView(run: Run): RunView {
  return {
    id: run.id,
    state: run.state,
    runtime: run.spec.runtime,
    ...(run.outcome?.run ?? {}),
    failedStep: run.outcome?.failedStep ?? null,
    compile: run.outcome?.compile ?? null,
    error: run.outcome?.error ?? null,
    labels: { ...run.labels },
    limits: run.spec.limits,
    createdAt: run.createdAt.toISOString(),
    startedAt: run.startedAt?.toISOString() ?? null,
    finishedAt: run.finishedAt?.toISOString() ?? null,
  };
}
