import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { printJson, printTable, shortTime } from '../table.js';

const SHORT_ID = 12;

export function registerNetworks(program: Command): void {
  const network = program.command('network').summary('networks').description("Networks of your tenant's virtual host: sandboxes on one of your own find each other by name.");

  network
    .command('ls')
    .summary('list networks')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const list = await connect(command.optsWithGlobals<GlobalOptions>()).networks.list();
      if (options.json === true) printJson(list);
      else
        printTable(
          ['NETWORK', 'NAME', 'SUBNET', 'CREATED', 'SANDBOXES'],
          list.map(({ id, name, subnet, createdAt, containers }) => [id.slice(0, SHORT_ID), name, subnet ?? '-', shortTime(new Date(createdAt).toISOString()), containers.map((one) => one.name).join(', ') || '-']),
        );
    });

  network
    .command('create')
    .summary('make a network')
    .argument('<name>')
    .option('--subnet <cidr>', 'such as 172.30.0.0/24; default: a free one')
    .option('--internal', 'without a way out')
    .action(async (name: string, options: { subnet?: string; internal?: boolean }, command: Command) => {
      const made = await connect(command.optsWithGlobals<GlobalOptions>()).networks.create({ name, internal: options.internal === true, ...(options.subnet === undefined ? {} : { subnet: options.subnet }) });
      process.stdout.write(`${made.name}\n`);
    });

  network
    .command('rm')
    .summary('remove networks')
    .argument('<network...>', 'names or IDs')
    .action(async (refs: string[], _options: object, command: Command) => {
      const { networks } = connect(command.optsWithGlobals<GlobalOptions>());
      for (const ref of refs) {
        await networks.remove(ref);
        process.stdout.write(`${ref}\n`);
      }
    });
}
