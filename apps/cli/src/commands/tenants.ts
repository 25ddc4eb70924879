import type { TenantView } from '#contracts';
import type { SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError } from '../failure.js';
import { parseCount } from '../quantities.js';
import { printJson, printTable, shortTime } from '../table.js';

const operator = (command: Command): SandbarClient => connect(command.optsWithGlobals<GlobalOptions>(), 'operator');

export function registerTenants(program: Command): void {
  const tenant = program.command('tenant').summary('tenants, for the operator').description('Tenants of this server. Needs an admin key.');

  tenant
    .command('create')
    .argument('<name>', 'a-z, 0-9 and -')
    .option('--concurrent-runs <count>', 'runs executing at once', parseCount)
    .option('--networks <count>', "networks of the tenant's own", parseCount)
    .option('--publish-ports', "its containers' published ports are on this node's address too")
    .option('--json', 'for programs')
    .action(async (name: string, { json, ...limits }: { concurrentRuns?: number; networks?: number; publishPorts?: boolean; json?: boolean }, command: Command) => {
      const client = operator(command);
      const view = await client.tenants.create({ name, ...(Object.keys(limits).length === 0 ? {} : { limits }) });
      if (json === true) printJson(view);
      else process.stdout.write(`${view.id} ${view.name}\n  Its first key: sandbar key create first --tenant ${view.name}\n`);
    });

  tenant
    .command('ls')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const tenants = await allTenants(operator(command));
      if (options.json === true) printJson(tenants);
      else printTable(['TENANT', 'NAME', 'RUNS AT ONCE', 'CREATED'], tenants.map((view) => [view.id, view.name, String(view.limits.concurrentRuns), shortTime(view.createdAt)]));
    });

  tenant
    .command('rm')
    .description('Deletes a tenant with its keys, runs and logs.')
    .argument('<tenant>', 'id or name')
    .action(async (given: string, _options: object, command: Command) => {
      const client = operator(command);
      const id = await findTenant(client, given);
      await client.tenants.delete(id);
      process.stdout.write(`${id} deleted\n`);
    });
}

/** An id as it is, a name by looking through the list. @throws CliError */
export async function findTenant(client: SandbarClient, given: string): Promise<string> {
  if (given.startsWith('ten_')) return given;
  const found = (await allTenants(client)).find(({ name }) => name === given);
  if (found === undefined) throw new CliError(`there is no tenant ${given}`, 'sandbar tenant ls shows them.');
  return found.id;
}

async function allTenants(client: SandbarClient): Promise<TenantView[]> {
  const tenants: TenantView[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<SandbarClient['tenants']['list']>> = await client.tenants.list(cursor === null ? {} : { cursor });
    tenants.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return tenants;
}
