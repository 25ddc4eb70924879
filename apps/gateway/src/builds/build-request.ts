import { createHash } from 'node:crypto';
import type { BuildOptions, BuildParcelBody, BuildRequestBody, BuildSpec, CreateBuild, RunFile } from '#contracts';
import { canonicalName, CodedError, parseReference, withDefaultTag } from '#kernel';

export type BuildSource = BuildParcelBody['source'];

/** What is asked for, as its row and its node each keep it. */
export interface PreparedBuild {
  readonly spec: BuildSpec;
  readonly parcel: BuildParcelBody;
  /** Of all that was asked for but the values of secrets, and but a tar that is sent along. */
  readonly specHash: Buffer;
}

/** @throws CodedError `invalid_argument` (a name that is none) */
export function prepareBuild({ secrets, registries, ...options }: BuildOptions, source: BuildSource): PreparedBuild {
  const request = { ...options, tags: [...new Set(options.tags.map(tagOf))] } satisfies BuildRequestBody;
  const secretIds = Object.keys(secrets).sort();
  const hashed = JSON.stringify(sorted({ request, secretIds, registries: Object.keys(registries).sort(), source }));
  return {
    spec: {
      source: source.kind,
      git: source.kind === 'git' ? { url: source.url, ...(source.ref === undefined ? {} : { ref: source.ref }), ...(source.subdir === undefined ? {} : { subdir: source.subdir }) } : null,
      dockerfile: options.dockerfile ?? 'Dockerfile',
      target: options.target ?? null,
      tags: request.tags,
      buildArgs: Object.keys(options.buildArgs).sort(),
      secrets: secretIds,
      noCache: options.noCache,
      pull: options.pull,
    },
    parcel: { request, registries, secrets, source },
    specHash: createHash('sha256').update(hashed).digest(),
  };
}

/** Of a JSON request: its options, and where its context comes from. */
export function splitRequest({ files = {}, git, dockerfileInline, ...options }: CreateBuild): { readonly options: BuildOptions; readonly source: BuildSource } {
  if (git !== undefined) return { options, source: { kind: 'git', ...git } };
  const inline: Record<string, RunFile> = dockerfileInline === undefined ? {} : { [options.dockerfile ?? 'Dockerfile']: dockerfileInline };
  return { options, source: { kind: 'files', files: { ...files, ...inline } } };
}

function tagOf(name: string): string {
  const reference = parseReference(name);
  if (reference.digest !== undefined) throw new CodedError('invalid_argument', 'tags: a build cannot give a name with a digest');
  return canonicalName(withDefaultTag(reference));
}

/** Equal requests give equal text, in whatever order their members came. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, member]) => [name, sorted(member)]));
}
