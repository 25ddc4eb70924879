import { isCodedError } from '#kernel';
import type { GuestAgent } from '../../runtime/index.js';
import { resolveUser, userNames, type GuestUser } from './guest-accounts.js';

const ACCOUNTS_BYTES = 1024 * 1024;

/**
 * Looked up each time: a program of the container may have changed its files a moment ago. Both are asked for at once.
 * @throws CodedError `invalid_argument` (no such user or group), `unavailable`
 */
export async function lookUpUser(agent: GuestAgent, user: string, groups: readonly string[]): Promise<GuestUser> {
  const [passwd, group] = await Promise.all([readText(agent, '/etc/passwd'), readText(agent, '/etc/group')]);
  return resolveUser(user, { passwd, group }, groups);
}

/** Names of users by number, as far as the container's file has them. @throws CodedError `unavailable` */
export async function lookUpNames(agent: GuestAgent): Promise<Map<number, string>> {
  return userNames(await readText(agent, '/etc/passwd'));
}

/** Whatever a guest has put there in the place of a file is the same as no file. */
async function readText(agent: GuestAgent, path: string): Promise<string> {
  try {
    return (await agent.readFile(path, ACCOUNTS_BYTES)).toString('utf8');
  } catch (error) {
    if (!isCodedError(error) || error.code === 'unavailable' || error.code === 'protocol_violation') throw error;
    return '';
  }
}
