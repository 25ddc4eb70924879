import type { BuildOptionsInput, BuildView } from '#contracts';
import { familiarName, parseReference } from '#kernel';
import type { SandbarClient } from '#sdk';
import { Option, type Command } from 'commander';
import { PlainDisplay, type BuildDisplay } from '../build-display.js';
import { ScreenDisplay } from '../build-screen.js';
import { secretsOf, startBuild } from '../build-source.js';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError, EXIT } from '../failure.js';
import { collect, pairs } from '../option-values.js';
import { cancelWithTerminal } from '../terminal-cancel.js';

export interface FollowFlags {
  readonly quiet?: boolean;
  readonly progress: 'auto' | 'tty' | 'plain';
}

interface BuildFlags extends FollowFlags {
  readonly file?: string;
  readonly tag?: string[];
  readonly target?: string;
  readonly buildArg?: string[];
  readonly label?: string[];
  readonly secret?: string[];
  readonly platform?: string;
  readonly network?: string;
  readonly addHost?: string[];
  readonly cacheFrom?: string[];
  readonly cache: boolean;
  readonly pull?: boolean;
}

export function registerBuild(program: Command): void {
  program
    .command('build')
    .summary('build an image from a Dockerfile')
    .description('Builds the folder PATH, a Git address (https://host/x.git#ref:folder), or - for a Dockerfile or a tar from stdin. Its steps are shown on stderr as they go on; the ID of the image is written to stdout. Ctrl-C cancels it.')
    .argument('<path>', 'folder, Git address, or -')
    .option('-f, --file <dockerfile>', 'by default PATH/Dockerfile; - reads it from stdin')
    .option('-t, --tag <name>', 'name of the image (again for more)', collect)
    .option('--target <stage>', 'name or number of the stage to build')
    .option('--build-arg <name[=value]>', 'value of an ARG; without a value the environment\'s (again for more)', collect)
    .option('--label <key=value>', 'label of the image (again for more)', collect)
    .option('--secret <id=name,src=file>', 'for RUN --mount=type=secret; or id=name,env=NAME (again for more)', collect)
    .option('--platform <os/architecture>', 'such as linux/amd64')
    .option('--network <name>', 'of each RUN: default, none, or a network of yours')
    .option('--add-host <name:address>', 'for each RUN (again for more)', collect)
    .option('--cache-from <image>', 'whose steps count as known (again for more)', collect)
    .option('--no-cache', 'carry out every step anew')
    .option('--pull', 'fetch bases although they are here')
    .option('-q, --quiet', 'the ID alone')
    .addOption(progressOption())
    .action(async (path: string, flags: BuildFlags, command: Command) => {
      process.exitCode = await build(connect(command.optsWithGlobals<GlobalOptions>()), path, flags);
    });
}

async function build(client: SandbarClient, path: string, flags: BuildFlags): Promise<number> {
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

function optionsOf({ tag = [], target, buildArg = [], label = [], secret = [], platform, network, addHost, cacheFrom, cache, pull }: BuildFlags): BuildOptionsInput {
  // As with Docker's client, one that the environment does not have is not given.
  const given = buildArg.filter((option) => option.includes('=') || process.env[option] !== undefined);
  return {
    tags: tag,
    buildArgs: pairs(given, (name) => process.env[name]),
    labels: pairs(label, () => ''),
    secrets: secretsOf(secret),
    noCache: !cache,
    pull: pull === true,
    ...(target === undefined ? {} : { target }),
    ...(platform === undefined ? {} : { platform }),
    ...(network === undefined ? {} : { network }),
    ...(addHost === undefined ? {} : { extraHosts: addHost }),
    ...(cacheFrom === undefined ? {} : { cacheFrom }),
  };
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
