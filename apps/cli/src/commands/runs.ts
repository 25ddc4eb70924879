import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { parseCount } from '../quantities.js';
import { printJson, printTable, shortTime } from '../table.js';

export function registerRuns(program: Command): void {
  program
    .command('ps')
    .summary('list runs')
    .description('Lists the runs that wait or execute; with -a all of them, newest first.')
    .option('-a, --all', 'also those that are over')
    .option('-n, --limit <count>', 'at most so many', parseCount, 50)
    .option('--json', 'for programs')
    .action(async (options: { all?: boolean; limit: number; json?: boolean }, command: Command) => {
      const { runs } = connect(command.optsWithGlobals<GlobalOptions>());
      const limit = Math.max(1, Math.min(options.limit, 200));
      const pages = options.all === true ? [await runs.list({ limit })] : await Promise.all([runs.list({ limit, state: 'running' }), runs.list({ limit, state: 'queued' })]);
      const items = pages.flatMap((page) => page.items).slice(0, limit);
      if (options.json === true) {
        printJson(items);
        return;
      }
      printTable(['RUN', 'RUNTIME', 'STATE', 'EXIT', 'CREATED', 'WALL'], items.map((run) => [run.id, run.runtime, run.state, String(run.exitCode ?? run.signal ?? '-'), shortTime(run.createdAt), run.wallTimeMs === undefined ? '-' : `${(run.wallTimeMs / 1000).toFixed(2)} s`]));
    });

  program
    .command('cancel')
    .summary('end a run or a build')
    .argument('<run>', 'id of the run or build')
    .action(async (id: string, _options: object, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      const view = id.startsWith('bld_') ? await client.builds.cancel(id) : await client.runs.cancel(id);
      process.stdout.write(`${view.id} ${view.state}\n`);
    });
}
