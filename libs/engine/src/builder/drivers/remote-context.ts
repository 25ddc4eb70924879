import { CodedError } from '#kernel';
import { isGitAddress } from '../../git/index.js';
import { writeTar } from '../../tar/index.js';
import type { BuildRequest } from '../builder.js';
import type { DockerfileBuilderOptions } from './builder-services.js';
import { opened } from './foreign-compression.js';
import { isTarHeader, withHead } from './tar-head.js';

const MAX_TEXT_BYTES = 1024 * 1024;

/**
 * The context behind an address: a repository's files, an archive, or a Dockerfile alone. To be read to its end, or left by `return`.
 * @throws CodedError `invalid_argument` (neither), `payload_too_large` (a text beyond 1 MiB), as `GitSource.fetch` and `UrlFetcher.open`
 */
export async function remoteContext(services: Pick<DockerfileBuilderOptions, 'git' | 'fetchUrl'>, remote: string, { dockerfile = 'Dockerfile' }: Pick<BuildRequest, 'dockerfile'>, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const address = /^github\.com\//.test(remote) ? `https://${remote}` : remote;
  if (address !== remote || isGitAddress(remote)) return (await services.git.fetch({ url: address }, signal)).tar;
  if (!/^https?:\/\//i.test(remote)) throw new CodedError('invalid_argument', `unable to prepare context: ${JSON.stringify(remote.slice(0, 200))} is neither a repository nor a URL`);
  const { head, bytes } = await withHead(opened((await services.fetchUrl(remote, signal)).bytes));
  if (isTarHeader(head)) return bytes;
  const content = await textOf(bytes);
  return writeTar([{ path: dockerfile, type: 'file', mode: 0o600, uid: 0, gid: 0, mtimeNs: 0n, size: content.length, content: [content] }]);
}

async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bytes) {
    if ((length += piece.length) > MAX_TEXT_BYTES) throw new CodedError('payload_too_large', 'the Dockerfile is larger than 1 MiB', { maxBytes: MAX_TEXT_BYTES });
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
