import type { BuildStep, BuildSummary, BuildView } from '#contracts';
import type { Build } from '#persistence';

/** A row as lists show it. */
export function toBuildSummary({ id, state, spec, outcome, createdAt, startedAt, finishedAt }: Build): BuildSummary {
  const { source, git, dockerfile, target, tags, buildArgs, secrets } = spec;
  return {
    id,
    state,
    source,
    git,
    dockerfile,
    target,
    tags,
    buildArgs,
    secrets,
    imageId: outcome?.imageId ?? null,
    digest: outcome?.digest ?? null,
    error: outcome?.error ?? null,
    commit: outcome?.commit ?? null,
    warnings: outcome?.warnings ?? [],
    createdAt: createdAt.toISOString(),
    startedAt: startedAt?.toISOString() ?? null,
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}

/** `steps`: as far as they are known of one that goes on. */
export function toBuildView(build: Build, steps: readonly BuildStep[]): BuildView {
  return { ...toBuildSummary(build), steps: [...(build.outcome?.steps ?? steps)] };
}
