import type { Command } from 'commander';
import type { ProcessExit, ProcessOutput } from '#contracts';
import type { SandbarClient } from '#sdk';
import { PlainDisplay } from '../build-display.js';
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
    .summary('what a run, a sandbox or a build wrote')
    .description('Writes what a run, the main program of a sandbox, or the steps of a build have written so far; with -f also what it writes from now on, until its end.')
    .argument('<run-or-sandbox>', 'id of the run or build; name or ID of the sandbox')
    .option('-f, --follow', 'stay until it ends')
    .option('-n, --after <seq>', 'only frames after this number', parseCount, 0)
    .action(async (id: string, options: LogsOptions, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      if (id.startsWith('run_')) await ofRun(client, id, options);
      else if (id.startsWith('bld_')) await ofBuild(client, id, options);
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

async function ofBuild(client: SandbarClient, id: string, { follow, after }: LogsOptions): Promise<void> {
  const display = new PlainDisplay((text) => process.stdout.write(text));
  for await (const frame of follow === true ? client.builds.logs(id, { after }) : client.builds.logsSoFar(id, { after })) display.show(frame);
}

async function writeOutput(frames: AsyncIterable<ProcessOutput | ProcessExit>): Promise<void> {
  for await (const frame of frames) {
    if (frame.type === 'output') await writeBytes(frame.stream === 'stdout' ? process.stdout : process.stderr, Buffer.from(frame.data, frame.encoding));
  }
}
