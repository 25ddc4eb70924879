import type { BuildParcel, RunFile } from '#contracts';
import { writeTar, type GitSource, type TarEntryInput } from '#engine';
import { CodedError, type BuildId, type TenantId } from '#kernel';
import type { BuildSpool } from './build-spool.js';

/** The secret that a private repository is fetched with, by its id. */
const GIT_TOKEN = 'GIT_AUTH_TOKEN';

export interface ContextSources {
  readonly spool: Pick<BuildSpool, 'context'>;
  readonly git: Pick<GitSource, 'fetch'>;
  /** What of a repository it is. */
  readonly fetched: (commit: string) => void;
}

/** The context of a queued build. */
export class BuildContext {
  constructor(
    private readonly sources: ContextSources,
    private readonly build: { readonly tenantId: TenantId; readonly id: BuildId },
  ) {}

  /** The tar that a parcel's source stands for. @throws CodedError, with its first byte: `not_found` (its file is gone), as `GitSource.fetch` */
  of({ source, secrets }: BuildParcel, signal: AbortSignal): AsyncIterable<Uint8Array> {
    switch (source.kind) {
      case 'context':
        return this.sources.spool.context(this.build.tenantId, this.build.id);
      case 'files':
        return writeTar(Object.entries(source.files).map(([path, file]) => entryOf(path, file)));
      case 'git': {
        const token = secrets[GIT_TOKEN];
        const url = token === undefined ? source.url : withToken(source.url, Buffer.from(token.content, token.encoding).toString('utf8').trim());
        return this.repository({ url, ...(source.ref === undefined ? {} : { ref: source.ref }), ...(source.subdir === undefined ? {} : { subdir: source.subdir }) }, signal);
      }
    }
  }

  /** Fetched when it is asked for: within the build's time. */
  private async *repository(request: Parameters<GitSource['fetch']>[0], signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const { commit, tar } = await this.sources.git.fetch(request, signal);
    this.sources.fetched(commit);
    yield* tar;
  }
}

/** @throws CodedError `invalid_argument`: a token is not sent in the clear */
export function withToken(address: string, token: string): string {
  const url = URL.parse(address);
  if (url?.protocol !== 'https:') throw new CodedError('invalid_argument', `${GIT_TOKEN} is sent to https addresses only`);
  url.username = 'x-access-token';
  url.password = encodeURIComponent(token);
  return url.href;
}

function entryOf(path: string, file: RunFile): TarEntryInput {
  const { content, encoding, executable } = typeof file === 'string' ? { content: file, encoding: 'utf8' as const, executable: false } : file;
  const bytes = Buffer.from(content, encoding);
  return { path, type: 'file', mode: executable ? 0o755 : 0o644, uid: 0, gid: 0, mtimeNs: 0n, size: bytes.length, content: [bytes] };
}
