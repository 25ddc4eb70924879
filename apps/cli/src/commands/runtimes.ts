import { setTimeout as sleep } from 'node:timers/promises';
import type { RuntimeInstallView } from '#contracts';
import type { SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError } from '../failure.js';
import { printJson, printTable } from '../table.js';

const LOOK_MS = 300;

export function registerRuntimes(program: Command): void {
  const runtimes = program.command('runtimes').summary('the languages').description('Languages that runs can use, and those that an operator can install.');

  runtimes
    .command('ls', { isDefault: true })
    .summary('list them')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const { items, available } = await connect(command.optsWithGlobals<GlobalOptions>()).runtimes.all();
      if (options.json === true) {
        printJson({ items, available });
        return;
      }
      const installed = items.map(({ name, title, version, mainFile, aliases }) => [name, title, version, mainFile, aliases.join(', ')]);
      printTable(['NAME', 'TITLE', 'VERSION', 'MAIN FILE', 'ALIASES'], [...installed, ...available.map(({ name, title }) => [name, title, 'not installed', '-', '-'])]);
    });

  runtimes
    .command('install')
    .summary('install languages on all nodes')
    .description('Builds languages on every node, runs an example in each, and offers them. Needs an admin key.')
    .argument('<name...>', 'such as java, go, rust, ruby, php')
    .action(async (names: string[], _options: object, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>(), 'operator');
      for (const name of names) await client.runtimes.install(name);
      for (const name of names) await follow(client, name);
    });
}

/** Until every node has it. @throws CliError when one has not and does not try any more */
async function follow({ runtimes }: SandbarClient, name: string): Promise<void> {
  const progress = new ProgressLine();
  for (;;) {
    const view = await runtimes.installation(name);
    const open = view.nodes.filter(({ state }) => state === 'waiting' || state === 'installing');
    if (open.length > 0) progress.show(`${view.name}: ${textOf(view)}`);
    else {
      progress.end();
      const failed = view.nodes.filter(({ state }) => state !== 'installed');
      if (failed.length > 0) throw new CliError(`${view.name} is not installed: ${failed.map(({ nodeId, message }) => `${message} (${nodeId})`).join('; ')}`, `Once that is mended: sandbar runtimes install ${view.name}`);
      process.stdout.write(`${view.name} is installed\n`);
      return;
    }
    await sleep(LOOK_MS);
  }
}

/** The node that is furthest behind tells how it goes. */
function textOf({ nodes }: RuntimeInstallView): string {
  const last = [...nodes].sort((one, other) => one.percent - other.percent)[0];
  const others = nodes.length === 1 ? '' : `, ${nodes.filter(({ state }) => state === 'installed').length} of ${nodes.length} nodes have it`;
  return `${Math.floor(last?.percent ?? 0)} % ${last?.message ?? ''}${others}`;
}

/** One line that changes on a terminal; elsewhere a line for each kind of work. */
class ProgressLine {
  private shown = '';

  show(text: string): void {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
    else if (wordsOf(text) !== this.shown) process.stderr.write(`${text}\n`);
    this.shown = wordsOf(text);
  }

  end(): void {
    if (process.stderr.isTTY && this.shown !== '') process.stderr.write('\r\x1b[2K');
  }
}

function wordsOf(text: string): string {
  return text.replace(/\d+ % /, '');
}
