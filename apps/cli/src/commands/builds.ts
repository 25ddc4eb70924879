import type { BuildSummary } from '#contracts';
import { familiarName, parseReference } from '#kernel';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { parseCount } from '../quantities.js';
import { printJson, printTable, shortTime } from '../table.js';

export function registerBuilds(program: Command): void {
  program
    .command('builds')
    .summary('list builds')
    .description("Lists builds, newest first, those of Docker's client too. sandbar logs BUILD shows one's output, sandbar cancel BUILD ends it.")
    .option('-n, --limit <count>', 'at most so many', parseCount, 50)
    .option('--json', 'for programs')
    .action(async (options: { limit: number; json?: boolean }, command: Command) => {
      const { items } = await connect(command.optsWithGlobals<GlobalOptions>()).builds.list({ limit: Math.max(1, Math.min(options.limit, 200)) });
      if (options.json === true) printJson(items);
      else printTable(['BUILD', 'STATE', 'FROM', 'CREATED', 'SECONDS', 'NAMES'], items.map(rowOf));
    });
}

function rowOf({ id, state, source, createdAt, startedAt, finishedAt, tags }: BuildSummary): string[] {
  const seconds = startedAt === null || finishedAt === null ? '-' : ((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000).toFixed(1);
  return [id, state, source, shortTime(createdAt), seconds, tags.map((tag) => familiarName(parseReference(tag))).join(' ')];
}
