import type { BuildOptionsInput, BuildView } from '#contracts';
import { familiarName, parseReference } from '#kernel';
import type { SandbarClient } from '#sdk';
import { Option, type Command } from 'commander';
import { PlainDisplay, type BuildDisplay } from '../build-display.js';
import { ScreenDisplay } from '../build-screen.js';
import { buildOptions, buildPartOf, type BuildFlags } from '../build-flags.js';
import { startBuild } from '../build-source.js';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError, EXIT } from '../failure.js';
import { collect } from '../option-values.js';
import { cancelWithTerminal } from '../terminal-cancel.js';

export interface FollowFlags {
  readonly quiet?: boolean;
  readonly progress: 'auto' | 'tty' | 'plain';
}

interface CommandFlags extends FollowFlags, BuildFlags {
  readonly file?: string;
  readonly tag?: string[];
  readonly addHost?: string[];
  readonly cacheFrom?: string[];
}

export function registerBuild(program: Command): void {
  const command = program
    .command('build')
    .summary('build an image from a Dockerfile')
    .description('Builds the folder PATH, a Git address (https://host/x.git#ref:folder), or - for a Dockerfile or a tar from stdin. Its steps are shown on stderr as they go on; the ID of the image is written to stdout. Ctrl-C cancels it.')
    .argument('<path>', 'folder, Git address, or -')
    .option('-f, --file <dockerfile>', 'by default PATH/Dockerfile; - reads it from stdin')
    .option('-t, --tag <name>', 'name of the image (again for more)', collect);
  buildOptions(command)
    .option('--add-host <name:address>', 'for each RUN (again for more)', collect)
    .option('--cache-from <image>', 'take steps from an image where they are the same, for this build (again for more)', collect)
    .option('-q, --quiet', 'the ID alone')
    .addOption(progressOption())
    .action(async (path: string, flags: CommandFlags) => {
      process.exitCode = await build(connect(command.optsWithGlobals<GlobalOptions>()), path, flags);
    });
}

async function build(client: SandbarClient, path: string, flags: CommandFlags): Promise<number> {
  const { id } = await startBuild(client, path, flags.file, optionsOf(flags));
  return followBuild(client, id, flags);
}

export function progressOption(): Option {
  return new Option('--progress <kind>', 'how steps are shown').choices(['auto', 'tty', 'plain']).default('auto');
}

/** Shows a build's steps until it is over; gives the exit code. @throws CliError why it failed */
export async function followBuild(client: SandbarClient, id: string, flags: FollowFlags): Promise<number> {
  cancelWithTerminal(id, () => client.builds.cancel(id));
  const display = displayOf(flags);
  try {
    for await (const frame of client.builds.logs(id)) display.show(frame);
  } finally {
    display.close();
  }
  return report(await client.builds.wait(id), flags);
}

function report({ state, imageId, tags, error, dockerfile }: BuildView, { quiet }: FollowFlags): number {
  if (state === 'succeeded' && imageId !== null) {
    process.stdout.write(`${imageId}\n`);
    if (quiet !== true) for (const tag of tags) process.stderr.write(`named ${familiarName(parseReference(tag))}\n`);
    return 0;
  }
  if (state === 'cancelled') return EXIT.interrupted;
  const place = error?.line === undefined ? '' : `${dockerfile}:${error.line}${error.column === undefined ? '' : `:${error.column}`}: `;
  throw new CliError(`${place}${error?.message ?? `the build is ${state}`}`);
}

function optionsOf(flags: CommandFlags): BuildOptionsInput {
  return { ...buildPartOf(flags), tags: flags.tag, extraHosts: flags.addHost, cacheFrom: flags.cacheFrom };
}

function displayOf({ quiet, progress }: FollowFlags): BuildDisplay {
  const { stderr } = process;
  const write = (text: string): void => {
    stderr.write(text);
  };
  if (quiet === true) return { show: () => undefined, close: () => undefined };
  if (progress === 'tty' || (progress === 'auto' && stderr.isTTY)) {
    return new ScreenDisplay({
      write,
      get columns() {
        return stderr.columns || 80;
      },
    });
  }
  return new PlainDisplay(write);
}
