import { isCodedError } from '#kernel';
import { resolveUser } from '../../containers/index.js';
import type { StackFiles } from './stack-files.js';

const MAX_ACCOUNT_FILE_BYTES = 1024 * 1024;

/** `user[:group]` of `--chown` by the image's own files; a user alone stands for its group too, as far as there is one. @throws CodedError `invalid_argument` */
export async function ownerOf(text: string, stack: StackFiles): Promise<{ readonly uid: number; readonly gid: number }> {
  const numbers = /^\d+(?::\d+)?$/.test(text);
  const [passwd, group] = numbers ? ['', ''] : await Promise.all([stack.text('etc/passwd', MAX_ACCOUNT_FILE_BYTES), stack.text('etc/group', MAX_ACCOUNT_FILE_BYTES)]);
  const files = { passwd, group };
  if (text.includes(':')) return idsOf(resolveUser(text, files));
  try {
    return idsOf(resolveUser(`${text}:${text}`, files));
  } catch (error) {
    if (!isCodedError(error, 'invalid_argument')) throw error;
    return idsOf(resolveUser(text, files));
  }
}

function idsOf({ uid, gid }: { readonly uid: number; readonly gid: number }): { readonly uid: number; readonly gid: number } {
  return { uid, gid };
}
