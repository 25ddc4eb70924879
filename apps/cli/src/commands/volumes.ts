import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { formatSize } from '../quantities.js';
import { printJson, printTable, shortTime } from '../table.js';

export function registerVolumes(program: Command): void {
  const volume = program.command('volume').summary('volumes').description("Volumes of your tenant's virtual host.");

  volume
    .command('ls')
    .summary('list volumes')
    .option('-s, --size', 'also how much each holds')
    .option('--json', 'for programs')
    .action(async (options: { size?: boolean; json?: boolean }, command: Command) => {
      const list = await connect(command.optsWithGlobals<GlobalOptions>()).volumes.list({ size: options.size === true });
      if (options.json === true) printJson(list);
      else
        printTable(
          ['VOLUME', 'CREATED', 'USED BY', 'SIZE'],
          list.map(({ name, createdAt, usedBy, sizeBytes }) => [name, shortTime(new Date(createdAt).toISOString()), usedBy.map((id) => id.slice(0, 12)).join(',') || '-', sizeBytes === null ? '-' : formatSize(sizeBytes)]),
        );
    });

  volume
    .command('create')
    .summary('make a volume')
    .argument('[name]', 'default: 64 hex digits')
    .action(async (name: string | undefined, _options: object, command: Command) => {
      const made = await connect(command.optsWithGlobals<GlobalOptions>()).volumes.create(name === undefined ? {} : { name });
      process.stdout.write(`${made.name}\n`);
    });

  volume
    .command('rm')
    .summary('remove volumes and what they hold')
    .argument('<volume...>')
    .option('-f, --force', 'one that is not there is fine')
    .action(async (names: string[], options: { force?: boolean }, command: Command) => {
      const { volumes } = connect(command.optsWithGlobals<GlobalOptions>());
      for (const name of names) {
        await volumes.remove(name, { force: options.force === true });
        process.stdout.write(`${name}\n`);
      }
    });
}
