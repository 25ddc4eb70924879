import type { Command } from 'commander';
import { runSetupProgram } from '../checkout.js';
import { CliError, EXIT } from '../failure.js';

/** What concerns this machine and not the API: set-up's own programs, which need no key and no running server. */
export function registerMachine(program: Command): void {
  program
    .command('doctor')
    .summary('check this machine')
    .description('Checks what Sandbar needs of this machine, says how to mend what is missing, and shows its services.')
    .option('--leaks', 'look for what sandboxes may have left behind (root); exit code 1 when there is something')
    .option('--json', 'for programs')
    .action(async (options: { leaks?: boolean; json?: boolean }) => {
      process.exitCode = await runSetupProgram('doctor.mjs', [...(options.leaks === true ? ['--leaks'] : []), ...(options.json === true ? ['--json'] : [])]);
    });

  program
    .command('reset')
    .summary('remove all data of this machine’s Sandbar')
    .description('Removes the data folder: keys, tenants, runs, logs and the runtimes’ images. Refuses while Sandbar runs.')
    .option('--yes', 'really')
    .action(async (options: { yes?: boolean }) => {
      if (options.yes !== true) throw new CliError('this removes all keys, tenants, runs and logs', 'sandbar reset --yes does it.', EXIT.usage);
      process.exitCode = await runSetupProgram('uninstall-data.mjs', ['--yes']);
    });
}
