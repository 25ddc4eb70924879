import type { PlannedStage } from '../stages/stage-graph.js';

/** Carries stages out, each when all that it needs is there, so many at once. After the first failure nothing is begun; it is thrown when all that was begun has ended. */
export async function inOrderOfNeeds(stages: readonly PlannedStage[], atOnce: number, work: (stage: PlannedStage) => Promise<void>): Promise<void> {
  const waiting = [...stages];
  const done = new Set<number>();
  const running = new Map<number, Promise<void>>();
  const failures: unknown[] = [];
  const begin = (stage: PlannedStage): void => {
    const over = work(stage).then(
      () => {
        done.add(stage.index);
      },
      (error: unknown) => {
        failures.push(error);
      },
    );
    running.set(stage.index, over.finally(() => running.delete(stage.index)));
  };
  while (waiting.length > 0 || running.size > 0) {
    for (const stage of [...waiting]) {
      if (failures.length > 0 || running.size >= atOnce) break;
      if (!stage.needs.every((index) => done.has(index))) continue;
      waiting.splice(waiting.indexOf(stage), 1);
      begin(stage);
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  if (failures.length > 0) throw failures[0];
}
