import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { writeFrames } from '../frame-writer.js';
import { parseCount } from '../quantities.js';
import { outcomeOf } from '../run-outcome.js';

export function registerLogs(program: Command): void {
  program
    .command('logs')
    .summary('what a run wrote')
    .description('Writes what a run has written so far; with -f also what it writes from now on, until its end.')
    .argument('<run>', 'id of the run')
    .option('-f, --follow', 'stay until the run ends')
    .option('-n, --after <seq>', 'only frames after this number', parseCount, 0)
    .action(async (id: string, options: { follow?: boolean; after: number }, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      if (options.follow !== true) {
        await writeFrames(client.runs.logsSoFar(id, { after: options.after }));
        return;
      }
      await writeFrames(client.runs.logs(id, { after: options.after }));
      reportEnd(outcomeOf(await client.runs.wait(id)).message);
    });
}

function reportEnd(message: string): void {
  if (message !== '') process.stderr.write(`sandbar: ${message}\n`);
}
