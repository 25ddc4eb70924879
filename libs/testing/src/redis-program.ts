import { accessSync, constants } from 'node:fs';
import { rm, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/**
 * The Redis server's program. Debian's redis-tools, which is all that set-up installs, holds it as redis-check-rdb: by the name of
 * redis-server, which a link in `folder` gives it, it is the server.
 */
export async function redisServerProgram(folder: string): Promise<string> {
  const server = find('redis-server');
  if (server !== undefined) return server;
  const checker = find('redis-check-rdb');
  if (checker === undefined) throw new Error('there is no Redis on this machine: apt-get install redis-tools');
  const link = join(folder, 'redis-server');
  await rm(link, { force: true });
  await symlink(checker, link);
  return link;
}

function find(program: string): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, program));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
