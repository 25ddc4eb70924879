import { isFinalRunState } from '#contracts';
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
      const view = await client.runs.get(id);
      if (options.follow === true || isFinalRunState(view.state)) {
        await writeFrames(client.runs.logs(id, { after: options.after }));
        if (options.follow === true) reportEnd(outcomeOf(await client.runs.wait(id)).message);
        return;
      }
      await writeWhatIsThere(client.runs.logs(id, { after: options.after, signal: AbortSignal.timeout(NOTHING_MORE_MS) }));
    });
}

/** Without -f, a run that goes on is left alone after its past output has come. */
const NOTHING_MORE_MS = 700;

async function writeWhatIsThere(frames: Parameters<typeof writeFrames>[0]): Promise<void> {
  try {
    await writeFrames(frames);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'TimeoutError')) throw error;
  }
}

function reportEnd(message: string): void {
  if (message !== '') process.stderr.write(`sandbar: ${message}\n`);
}
