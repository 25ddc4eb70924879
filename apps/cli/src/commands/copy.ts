import type { Command } from 'commander';
import { copyIn, copyOut } from '../copy.js';
import { copyEndOf } from '../copy-paths.js';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError, EXIT } from '../failure.js';

export function registerCopy(program: Command): void {
  program
    .command('cp')
    .summary('copy files and folders to and from a sandbox')
    .description('One of both is SANDBOX:/path. A folder comes with all that is in it; FOLDER/. means what is in it alone. - is a tar: from stdin, or to stdout.')
    .argument('<source>', 'SANDBOX:/path, a path of this machine, or -')
    .argument('<destination>', 'likewise')
    .action(async (source: string, destination: string, _options: object, command: Command) => {
      const [from, to] = [copyEndOf(source), copyEndOf(destination)];
      const { files } = connect(command.optsWithGlobals<GlobalOptions>());
      if (from.where === 'here' && to.where === 'sandbox') await copyIn(files, from.path, to);
      else if (from.where === 'sandbox' && to.where === 'here') await copyOut(files, from, to.path);
      else throw new CliError('one of both must be SANDBOX:/path, and only one', '', EXIT.usage);
    });
}
