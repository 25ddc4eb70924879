import { CodedError } from '#kernel';
import { writeTar } from '../../tar/index.js';
import type { BuildSession, StageImage } from './build-session.js';
import type { Step } from '../stages/steps.js';
import { userOf } from './copy-owner.js';
import { StackFiles } from './stack-files.js';

const NANOS_PER_MS = 1_000_000n;

/** The directories that a WORKDIR makes, which belong to the USER; undefined: they are there. @throws CodedError `invalid_argument` when something else is */
export async function directoryLayer(session: BuildSession, image: StageImage, { path, config }: Extract<Step, { kind: 'workdir' }>): Promise<AsyncIterable<Buffer> | undefined> {
  const stack = new StackFiles(session.services, image.chainId);
  const kind = path === '/' ? 'directory' : await stack.kindOf(path);
  if (kind === 'directory') return undefined;
  if (kind !== undefined) throw new CodedError('invalid_argument', `Cannot mkdir: ${path} is not a directory`);
  const mtimeNs = BigInt(session.services.clock.now()) * NANOS_PER_MS;
  const owner = await userOf(config.User ?? '', stack);
  return writeTar((await stack.missing(path)).map((each) => ({ path: `${each.slice(1)}/`, type: 'directory' as const, mode: 0o755, ...owner, mtimeNs })));
}
