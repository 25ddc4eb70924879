import type { SandboxView } from '#contracts';
import type { SandboxesApi } from '#sdk';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { collect } from '../option-values.js';
import { parseCount, parseNumber, parseSize } from '../quantities.js';
import { sandboxRequest, type SandboxOptions } from '../sandbox-request.js';
import { printJson, printTable, shortTime } from '../table.js';

const SHORT_ID = 12;

export function registerSandboxes(program: Command): void {
  const sandbox = program.command('sandbox').summary('sandboxes that stay').description("Sandboxes that your tenant keeps. Containers of Docker's client are the same: see sandbar docker-context.");

  sandbox
    .command('create')
    .summary('make a sandbox and start it')
    .description('Makes a sandbox of IMAGE, or of a runtime (-r), and starts it. A runtime without a command sleeps until it is stopped.')
    .argument('[image-and-command...]', 'the image, unless -r is given; then, after --, the command')
    .option('-r, --runtime <name>', 'a language instead of an image: sandbar runtimes')
    .option('-n, --name <name>', 'default: one by chance')
    .option('-e, --env <name[=value]>', 'environment variable (again for more)', collect)
    .option('-l, --label <key[=value]>', 'label (again for more)', collect)
    .option('-w, --workdir <path>', 'working folder')
    .option('-u, --user <user[:group]>', 'names or numbers')
    .option('-m, --memory <size>', 'such as 256MiB', parseSize)
    .option('--cpus <number>', 'processors, such as 0.5', parseNumber)
    .option('--pids <count>', 'most processes', parseCount)
    .option('--disk <size>', 'most that it may write on its own files', parseSize)
    .option('--network <name>', 'none (the default), bridge, or one of your networks')
    .option('-p, --publish <[[address:]hostport:]port[/udp]>', 'port to publish (again for more)', collect)
    .option('-v, --volume <volume:/path[:ro]>', 'volume, or /folder of the virtual host (again for more)', collect)
    .option('--restart <policy>', 'no, always, unless-stopped, on-failure[:times]')
    .option('-t, --tty', 'a terminal for its main program')
    .option('--rm', 'it goes away when its main program ends')
    .option('--read-only', 'its own files cannot be written')
    .option('--no-start', 'do not start it')
    .action(async (words: string[], options: SandboxOptions, command: Command) => {
      const made = await connect(command.optsWithGlobals<GlobalOptions>()).sandboxes.create(sandboxRequest(words, options));
      process.stdout.write(`${made.name}\n`);
    });

  sandbox
    .command('ls')
    .summary('list sandboxes')
    .option('-a, --all', 'also those that do not run')
    .option('-l, --label <key[=value]>', 'only with this label (again for more)', collect)
    .option('--json', 'for programs')
    .action(async (options: { all?: boolean; label?: string[]; json?: boolean }, command: Command) => {
      const { sandboxes } = connect(command.optsWithGlobals<GlobalOptions>());
      const found: SandboxView[] = [];
      for await (const view of sandboxes.all({ labels: options.label ?? [], ...(options.all === true ? {} : { states: ['running', 'paused', 'restarting'] }) })) found.push(view);
      if (options.json === true) printJson(found);
      else printTable(['SANDBOX', 'NAME', 'IMAGE', 'STATE', 'EXIT', 'CREATED', 'PORTS'], found.map(rowOf));
    });

  sandbox
    .command('inspect')
    .summary('all that is known of a sandbox, as JSON')
    .argument('<sandbox>', 'name or ID')
    .action(async (ref: string, _options: object, command: Command) => {
      printJson(await connect(command.optsWithGlobals<GlobalOptions>()).sandboxes.get(ref));
    });

  sandbox
    .command('rm')
    .summary('remove sandboxes and their files')
    .argument('<sandbox...>', 'names or IDs')
    .option('-f, --force', 'although they run')
    .option('-v, --volumes', 'also their volumes without a name')
    .action(async (refs: string[], options: { force?: boolean; volumes?: boolean }, command: Command) => {
      await eachOf(refs, command, (sandboxes, ref) => sandboxes.remove(ref, { force: options.force === true, volumes: options.volumes === true }));
    });

  verb(sandbox, 'start', 'start sandboxes', (sandboxes, ref) => sandboxes.start(ref));
  verb(sandbox, 'stop', 'stop sandboxes; their files stay', (sandboxes, ref, options) => sandboxes.stop(ref, options)).option('-t, --timeout-seconds <seconds>', 'until they are killed', parseCount);
  verb(sandbox, 'restart', 'stop sandboxes and start them again', (sandboxes, ref, options) => sandboxes.restart(ref, options)).option('-t, --timeout-seconds <seconds>', 'until they are killed', parseCount);
  verb(sandbox, 'pause', 'freeze all programs of sandboxes', (sandboxes, ref) => sandboxes.pause(ref));
  verb(sandbox, 'resume', 'let paused sandboxes go on', (sandboxes, ref) => sandboxes.resume(ref));
}

interface VerbOptions {
  readonly timeoutSeconds?: number;
}

function verb(parent: Command, name: string, summary: string, act: (sandboxes: SandboxesApi, ref: string, options: VerbOptions) => Promise<unknown>): Command {
  return parent
    .command(name)
    .summary(summary)
    .argument('<sandbox...>', 'names or IDs')
    .action(async (refs: string[], options: VerbOptions, command: Command) => {
      await eachOf(refs, command, (sandboxes, ref) => act(sandboxes, ref, options));
    });
}

/** One after the other; the first failure ends it. */
async function eachOf(refs: readonly string[], command: Command, act: (sandboxes: SandboxesApi, ref: string) => Promise<unknown>): Promise<void> {
  const { sandboxes } = connect(command.optsWithGlobals<GlobalOptions>());
  for (const ref of refs) {
    await act(sandboxes, ref);
    process.stdout.write(`${ref}\n`);
  }
}

function rowOf({ id, name, image, state, health, exitCode, createdAt, network }: SandboxView): string[] {
  const ports = network.ports.map(({ hostAddress, hostPort, port, protocol }) => `${hostAddress === '' ? '' : `${hostAddress}:`}${hostPort}→${port}/${protocol}`);
  return [id.slice(0, SHORT_ID), name, image, health === null ? state : `${state} (${health})`, exitCode === null ? '-' : String(exitCode), shortTime(createdAt), ports.join(', ')];
}
