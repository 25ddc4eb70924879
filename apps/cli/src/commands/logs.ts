import type { Command } from 'commander';
import type { ProcessExit, ProcessOutput } from '#contracts';
import type { SandbarClient } from '#sdk';
import { connect, type GlobalOptions } from '../credentials.js';
import { writeBytes, writeFrames } from '../frame-writer.js';
import { parseCount } from '../quantities.js';
import { outcomeOf } from '../run-outcome.js';

interface LogsOptions {
  readonly follow?: boolean;
  readonly after: number;
}

export function registerLogs(program: Command): void {
  program
    .command('logs')
    .summary('what a run or a sandbox wrote')
    .description('Writes what a run, or the main program of a sandbox, has written so far; with -f also what it writes from now on, until its end.')
    .argument('<run-or-sandbox>', 'id of the run; name or ID of the sandbox')
    .option('-f, --follow', 'stay until it ends')
    .option('-n, --after <seq>', 'only frames after this number', parseCount, 0)
    .action(async (id: string, options: LogsOptions, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      if (id.startsWith('run_')) await ofRun(client, id, options);
      else await writeOutput(client.sandboxes.logs(id, { after: options.after, follow: options.follow === true }));
    });
}

async function ofRun(client: SandbarClient, id: string, { follow, after }: LogsOptions): Promise<void> {
  if (follow !== true) {
    await writeFrames(client.runs.logsSoFar(id, { after }));
    return;
  }
  await writeFrames(client.runs.logs(id, { after }));
  const { message } = outcomeOf(await client.runs.wait(id));
  if (message !== '') process.stderr.write(`sandbar: ${message}\n`);
}

async function writeOutput(frames: AsyncIterable<ProcessOutput | ProcessExit>): Promise<void> {
  for await (const frame of frames) {
    if (frame.type === 'output') await writeBytes(frame.stream === 'stdout' ? process.stdout : process.stderr, Buffer.from(frame.data, frame.encoding));
  }
}
