import type { OperationProgress, ProgressLine } from '#contracts';
import { CodedError, canonicalName, parseReference, withDefaultTag } from '#kernel';
import type { DockerCall } from './docker-call.js';
import type { ImageOperations, OperationRequest } from './docker-backends.js';
import { badParameter, unsupported } from './errors.js';
import { familiar } from './image-views.js';
import { assertNoError, toMessage, type DockerMessage } from './json-lines.js';

export interface Following {
  readonly call: DockerCall;
  readonly operations: ImageOperations;
  /** The gateway goes down: the operation goes on without it. */
  readonly draining: AbortSignal;
}

/** Lets the operation run only as long as somebody reads its progress, as Docker's engine does. */
export async function* followOperation({ call, operations, draining }: Following, kind: 'pull' | 'push', request: OperationRequest): AsyncGenerator<DockerMessage> {
  const { id } = await operations[kind](call.caller, { ...request, requestId: call.requestId });
  let ended = false;
  try {
    for await (const line of operations.follow(call.caller.tenant.id, id, 0, AbortSignal.any([call.signal, draining]))) {
      if (line.end === true) ended = true;
      yield* kind === 'push' ? pushMessages(line) : pullMessages(line);
    }
    if (!ended && !call.signal.aborted) throw new CodedError('unavailable', draining.aborted ? `the server goes down, the ${kind} goes on: ask again` : 'the progress broke off');
  } finally {
    // Idempotent, and the only one who could hear of a failure has gone.
    if (!ended && !draining.aborted) await operations.cancel(call.caller, id).catch(() => undefined);
  }
}

function* pullMessages(line: OperationProgress): Generator<DockerMessage> {
  const message = toMessage(line);
  if (message !== undefined) yield message;
}

/** Docker tells programs of a push what it pushed. */
function* pushMessages(line: OperationProgress): Generator<DockerMessage> {
  yield* pullMessages(line);
  const { tag, digest, sizeBytes } = line.aux ?? {};
  if (typeof digest !== 'string' || typeof tag !== 'string') return;
  yield { progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: typeof sizeBytes === 'number' ? sizeBytes : 0 } };
}

/** `Loaded image: busybox:latest`. */
export async function* loadMessages(lines: AsyncIterable<ProgressLine>, quiet: boolean): AsyncGenerator<DockerMessage> {
  for await (const line of lines) {
    const message = toMessage(line);
    if (message !== undefined && !quiet) yield message;
    const images = (line.aux?.['images'] ?? []) as readonly { readonly id: string; readonly tags: readonly string[] }[];
    for (const { id, tags } of images) {
      if (tags.length === 0) yield { stream: `Loaded image ID: ${id}\n` };
      for (const tag of tags) yield { stream: `Loaded image: ${familiar(tag)}\n` };
    }
  }
}

/** The last line of an import is the image's ID. */
export async function* importMessages(lines: AsyncIterable<ProgressLine>): AsyncGenerator<DockerMessage> {
  for await (const line of lines) {
    assertNoError(line);
    const message = toMessage(line);
    if (message !== undefined) yield message;
    const id = line.aux?.['imageId'];
    if (typeof id === 'string') yield { status: id };
  }
}

/** `fromImage` and `tag` (a tag, a digest, or nothing where the name has it) → a reference in full. @throws CodedError `invalid_argument` */
export function pullReference(fromImage: string, tag: string): string {
  const reference = parseReference(tag === '' ? fromImage : tag.includes(':') ? `${fromImage}@${tag}` : `${withoutTag(fromImage)}:${tag}`);
  if (reference.tag === undefined && reference.digest === undefined) throw unsupported('pulling all tags of a repository (name one)');
  return canonicalName(reference);
}

/** `repo` and `tag` of commit, tag and import → a name, undefined where there is none. @throws CodedError `invalid_argument` */
export function nameOf(repo: string, tag: string): string | undefined {
  if (repo === '') return undefined;
  const reference = parseReference(tag === '' ? repo : `${withoutTag(repo)}:${tag}`);
  if (reference.digest !== undefined) throw badParameter('cannot import digest reference');
  return canonicalName(withDefaultTag(reference));
}

/** `linux/arm64/v8`. @throws CodedError `invalid_argument` */
export function platformOf(text: string): { os: string; architecture: string; variant?: string } | undefined {
  if (text === '') return undefined;
  const [os = '', architecture, variant, ...more] = text.toLowerCase().split('/');
  const part = /^[a-z0-9_.-]+$/;
  if (more.length > 0 || ![os, architecture ?? 'x', variant ?? 'x'].every((one) => part.test(one))) throw badParameter(`"${text.slice(0, 100)}": unknown operating system or architecture: invalid argument`);
  // One part alone may be either; all our images are for Linux.
  if (architecture === undefined) return os === 'linux' ? undefined : { os: 'linux', architecture: os };
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** Docker lets `tag` win over the tag in the name. */
function withoutTag(name: string): string {
  const at = name.indexOf(':', name.lastIndexOf('/') + 1);
  return at < 0 ? name : name.slice(0, at);
}
