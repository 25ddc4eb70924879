import { isCodedError } from '#kernel';
import type { GuestAgent } from '../../runtime/index.js';
import { userNames } from './guest-accounts.js';

export const PASSWD = '/etc/passwd';
export const GROUP = '/etc/group';
const ACCOUNTS_BYTES = 1024 * 1024;

/** Names of users by number, as far as the container's file has them. @throws CodedError `unavailable` */
export async function lookUpNames(agent: GuestAgent): Promise<Map<number, string>> {
  return userNames((await readAccount(agent, PASSWD)).toString('utf8'));
}

/** Whatever a guest has put there in the place of a file is the same as an empty one. @throws CodedError `unavailable` */
export async function readAccount(agent: GuestAgent, path: typeof PASSWD | typeof GROUP): Promise<Buffer> {
  try {
    return await agent.readFile(path, ACCOUNTS_BYTES);
  } catch (error) {
    if (!isCodedError(error) || error.code === 'unavailable' || error.code === 'protocol_violation') throw error;
    return Buffer.alloc(0);
  }
}
