import { isCodedError } from '#kernel';
import { resolveUser } from '../../containers/index.js';
import type { StackFiles } from './stack-files.js';

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const MAX_ACCOUNT_FILE_BYTES = 1024 * 1024;

/** `user[:group]` of `--chown` by the image's own files; a user alone stands for its group too, as far as there is one. @throws CodedError `invalid_argument` */
export async function ownerOf(text: string, stack: StackFiles): Promise<Owner> {
  const files = /^\d+(?::\d+)?$/.test(text) ? { passwd: '', group: '' } : await accountsOf(stack);
  if (text.includes(':')) return idsOf(resolveUser(text, files));
  try {
    return idsOf(resolveUser(`${text}:${text}`, files));
  } catch (error) {
    if (!isCodedError(error, 'invalid_argument')) throw error;
    return idsOf(resolveUser(text, files));
  }
}

/** Of USER. @throws CodedError `invalid_argument` */
export async function userOf(text: string, stack: StackFiles): Promise<Owner> {
  return text === '' ? { uid: 0, gid: 0 } : idsOf(resolveUser(text, await accountsOf(stack)));
}

async function accountsOf(stack: StackFiles): Promise<{ readonly passwd: string; readonly group: string }> {
  const [passwd, group] = await Promise.all([stack.text('etc/passwd', MAX_ACCOUNT_FILE_BYTES), stack.text('etc/group', MAX_ACCOUNT_FILE_BYTES)]);
  return { passwd, group };
}

function idsOf({ uid, gid }: Owner): Owner {
  return { uid, gid };
}
