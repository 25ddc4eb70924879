import type { OperationView } from '#contracts';
import type { Operation } from '#persistence';

/** A row as the API shows it. */
export function toOperationView(operation: Operation): OperationView {
  const { id, kind, state, reference, outcome, createdAt, startedAt, finishedAt } = operation;
  return {
    id,
    kind,
    state,
    reference,
    result: outcome?.result ?? null,
    error: outcome?.error ?? null,
    createdAt: createdAt.toISOString(),
    startedAt: startedAt?.toISOString() ?? null,
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}
