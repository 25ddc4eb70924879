import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { SandbarApiError, type SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError, describeFailure, EXIT } from '../failure.js';

interface Forward {
  readonly local: number;
  readonly port: number;
}

export function registerPortForward(program: Command): void {
  program
    .command('port-forward')
    .summary('ports of this machine that lead into a sandbox')
    .description('Listens here and hands each connection on to a program that listens inside, published or not, until ctrl-C.')
    .argument('<sandbox>', 'name or ID')
    .argument('<ports...>', '[local:]port; local 0: a free one')
    .option('--address <address>', 'where to listen', '127.0.0.1')
    .action(async (sandbox: string, ports: string[], { address }: { address: string }, command: Command) => {
      const forwards = ports.map(forwardOf);
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      const { id } = await client.sandboxes.get(sandbox);
      const servers: Server[] = [];
      for (const forward of forwards) servers.push(await listen(client, id, forward, address));
      await Promise.race(servers.map((server) => once(server, 'close')));
    });
}

/** @throws CliError */
export function forwardOf(text: string): Forward {
  const [, local, port = ''] = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(text) ?? [];
  const forward = { local: Number(local ?? port), port: Number(port) };
  if (port === '' || forward.port < 1 || forward.port > 65_535 || forward.local > 65_535) throw new CliError(`${text}: give PORT or LOCAL:PORT`, '', EXIT.usage);
  return forward;
}

async function listen(client: SandbarClient, sandbox: string, { local, port }: Forward, address: string): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void handOn(client, sandbox, port, socket);
  });
  server.listen(local, address);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new CliError(`${address}:${local} cannot be listened on: ${(error as Error).message}`);
  }
  const bound = server.address();
  process.stdout.write(`${address}:${typeof bound === 'object' && bound !== null ? bound.port : local} → ${port}\n`);
  return server;
}

/** Half by half, at the pace of the slower. One connection's failure is only its own. */
async function handOn(client: SandbarClient, sandbox: string, port: number, socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  try {
    const inside = await client.ports.connect(sandbox, port);
    await Promise.all([pipeline(socket, inside, { end: true }), pipeline(inside, socket, { end: true })]);
  } catch (error) {
    socket.destroy();
    if (error instanceof SandbarApiError) process.stderr.write(`sandbar: ${port}: ${describeFailure(error)}\n`);
  }
}
