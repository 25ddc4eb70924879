import { createServer, type Server } from 'node:net';
import { realpath } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, digestHex, digestOf, errnoOf } from '#kernel';

const RETRY_MS = 300;

/**
 * Runs `action` while no other process does so for the same folder. The lock is a socket in the abstract name space (unix(7)): the
 * kernel gives it to one process and takes it back when that process ends, however it ends.
 * @throws CodedError `cancelled` while it waits
 */
export async function withInstallLock<T>(folder: string, signal: AbortSignal, onWait: () => void, action: () => Promise<T>): Promise<T> {
  const name = `\0sandbar-install-${digestHex(digestOf(await realpath(folder)))}`;
  let server = await listen(name);
  if (!server) onWait();
  while (!server) {
    if (signal.aborted) throw new CodedError('cancelled', 'stopped while another installation was at work');
    await sleep(RETRY_MS);
    server = await listen(name);
  }
  try {
    return await action();
  } finally {
    server.close();
  }
}

function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}
