import { CodedError } from '#kernel';
import { writeTar } from '../../tar/index.js';
import type { BuildSession, StageImage } from './build-session.js';
import { StackFiles } from './stack-files.js';

const NANOS_PER_MS = 1_000_000n;

/** The one directory that a WORKDIR makes; undefined: it is there. @throws CodedError `invalid_argument` when something else is */
export async function directoryLayer(session: BuildSession, image: StageImage, path: string): Promise<AsyncIterable<Buffer> | undefined> {
  const kind = path === '/' ? 'directory' : await new StackFiles(session.services, image.chainId).kindOf(path);
  if (kind === 'directory') return undefined;
  if (kind !== undefined) throw new CodedError('invalid_argument', `Cannot mkdir: ${path} is not a directory`);
  return writeTar([{ path: `${path.slice(1)}/`, type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeNs: BigInt(session.services.clock.now()) * NANOS_PER_MS }]);
}
