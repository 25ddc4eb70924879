import { TENANT_SCOPES } from '#contracts';
import type { KeysApi } from '#sdk';
import { Option, type Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { printJson, printTable, shortTime } from '../table.js';
import { findTenant } from './tenants.js';

interface KeyOptions {
  readonly tenant?: string;
  readonly json?: boolean;
}

/** The keys of the calling key's tenant, or, for the operator, of a named one. */
async function keysApi(command: Command, { tenant }: KeyOptions): Promise<KeysApi> {
  const globals = command.optsWithGlobals<GlobalOptions>();
  if (tenant === undefined) return connect(globals).keys;
  const client = connect(globals, 'operator');
  return client.tenants.keys(await findTenant(client, tenant));
}

export function registerKeys(program: Command): void {
  const key = program.command('key').summary('API keys').description('API keys of your tenant; with --tenant, for the operator, of another.');
  const tenantOption = () => new Option('--tenant <tenant>', 'id or name of a tenant (needs an admin key)');

  key
    .command('create')
    .argument('<name>', 'to tell it from others')
    .addOption(tenantOption())
    .addOption(new Option('-s, --scopes <scope...>', 'what it may do').choices(TENANT_SCOPES))
    .option('--expires <time>', 'such as 2027-01-31T00:00:00Z')
    .option('--json', 'for programs')
    .action(async (name: string, options: KeyOptions & { scopes?: (typeof TENANT_SCOPES)[number][]; expires?: string }, command: Command) => {
      const keys = await keysApi(command, options);
      const made = await keys.create({ name, ...(options.scopes === undefined ? {} : { scopes: options.scopes }), ...(options.expires === undefined ? {} : { expiresAt: options.expires }) });
      if (options.json === true) printJson(made);
      else process.stdout.write(`${made.key}\n`);
      if (options.json !== true) process.stderr.write(`${made.id}: the key is shown this once.\n`);
    });

  key
    .command('ls')
    .addOption(tenantOption())
    .option('--json', 'for programs')
    .action(async (options: KeyOptions, command: Command) => {
      const list = await (await keysApi(command, options)).list();
      if (options.json === true) printJson(list);
      else printTable(['KEY', 'NAME', 'BEGINS', 'SCOPES', 'LAST USED', 'STATE'], list.map((view) => [view.id, view.name, view.prefix, view.scopes.join(','), shortTime(view.lastUsedAt), view.revokedAt === null ? 'active' : 'revoked']));
    });

  key
    .command('revoke')
    .argument('<key>', 'id of the key')
    .addOption(tenantOption())
    .action(async (id: string, options: KeyOptions, command: Command) => {
      await (await keysApi(command, options)).revoke(id);
      process.stdout.write(`${id} revoked\n`);
    });
}
