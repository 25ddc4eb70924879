import { readFileSync } from 'node:fs';
import { runProgram } from './run-program.mjs';
import { SetupError } from './setup-error.mjs';

/** The gateway's user: no files of its own, no privileges. */
export const GATEWAY_USER = 'sandbar';
/** Owner of the database's and Redis' files, apart from the gateway, which only speaks to their sockets. */
export const DATABASE_USER = 'sandbar-db';

/** uid and gid of a system user, which is made when it is not there. */
export async function ensureAccount(name) {
  const found = findAccount(name);
  if (found) return found;
  try {
    await runProgram(['useradd', '--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin', name]);
  } catch (error) {
    // Another instance may have made it at the same moment.
    if (!findAccount(name)) throw error;
  }
  const made = findAccount(name);
  if (!made) throw new SetupError(`the system user ${name} could not be made`);
  return made;
}

export function findAccount(name) {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
