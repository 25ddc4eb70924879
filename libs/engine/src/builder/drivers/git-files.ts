import { CodedError } from '#kernel';
import type { BuildFiles, BuildSession } from './build-session.js';

/** A repository's files at one commit, `checksum` its hash or the beginning of it. @throws CodedError `invalid_argument` (another commit), as `GitSource.fetch` */
export async function gitFiles(session: BuildSession, url: string, checksum: string | undefined): Promise<BuildFiles> {
  if (checksum !== undefined && !/^[0-9a-f]{7,40}$/.test(checksum)) throw new CodedError('invalid_argument', `invalid checksum: ${checksum.slice(0, 100)}`);
  const { commit, tar } = await session.services.git.fetch({ url }, session.signal);
  if (checksum !== undefined && !commit.startsWith(checksum)) {
    await tar.return?.();
    throw new CodedError('invalid_argument', `digest mismatch for the repository: expected ${checksum}, got ${commit}`);
  }
  return session.spoolTar(tar);
}
