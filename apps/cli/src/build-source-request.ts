import type { BuildSourceView, CreateBuildSourceInput, RefRule, UpdateBuildSourceInput } from '#contracts';
import { Option, type Command } from 'commander';
import { secretsOf } from './build-source.js';
import { CliError, EXIT } from './failure.js';
import { collect, pairs } from './option-values.js';

export interface SourceFlags {
  readonly git?: string;
  readonly subdir?: string;
  readonly branch?: string;
  readonly gitTag?: string;
  readonly file?: string;
  readonly target?: string;
  readonly tag?: string[];
  readonly buildArg?: string[];
  readonly label?: string[];
  readonly secret?: string[];
  readonly platform?: string;
  readonly network?: 'default' | 'none';
  /** Commander's, of --no-cache: true when it is not there. */
  readonly cache: boolean;
  readonly pull?: boolean;
}

/** What says how a source builds, of the commands that make and change one. */
export function sourceOptions(command: Command): Command {
  return command
    .option('--subdir <folder>', 'folder of the repository that is the context')
    .option('--branch <pattern>', 'pushes to it build; * stands for any characters')
    .option('--git-tag <pattern>', 'pushes of such tags build, instead of a branch')
    .option('-f, --file <dockerfile>', 'path in the context')
    .option('-t, --tag <name>', 'name of the image; its tag may hold {branch} or {tag}, {sha}, {sha7} (again for more)', collect)
    .option('--target <stage>', 'name or number of the stage to build')
    .option('--build-arg <name=value>', 'value of an ARG (again for more)', collect)
    .option('--label <key=value>', 'label of the image (again for more)', collect)
    .option('--secret <id=name,src=file>', 'for RUN --mount=type=secret; or id=name,env=NAME. GIT_AUTH_TOKEN opens the repository (again for more)', collect)
    .option('--platform <os/architecture>', 'such as linux/amd64')
    .addOption(new Option('--network <mode>', 'of each RUN').choices(['default', 'none']))
    .option('--no-cache', 'carry out every step anew')
    .option('--pull', 'fetch bases although they are here');
}

/** @throws CliError */
export function newSource(name: string, url: string, flags: SourceFlags): CreateBuildSourceInput {
  const { tag, target, file, platform } = flags;
  if (tag === undefined) throw new CliError('--tag: an image needs a name', '', EXIT.usage);
  return { ...buildPartOf(flags), name, git: { url, subdir: flags.subdir }, tags: tag, on: ruleOf(flags), dockerfile: file, target, platform };
}

/** Of a source whose repository is `git`: what was given, and nothing else. @throws CliError */
export function changeOf(flags: SourceFlags, git: BuildSourceView['git']): UpdateBuildSourceInput {
  const { tag, target, file, platform, subdir } = flags;
  const moved = flags.git === undefined && subdir === undefined ? undefined : { url: flags.git ?? git.url, subdir: subdir ?? git.subdir };
  return { ...buildPartOf(flags), git: moved, tags: tag, on: ruleOf(flags), dockerfile: file, target, platform };
}

/** Members that were not given are undefined: they are not sent. */
function buildPartOf({ buildArg, label, secret, network, cache, pull }: SourceFlags) {
  return {
    buildArgs: buildArg === undefined ? undefined : pairs(buildArg, (name) => process.env[name]),
    labels: label === undefined ? undefined : pairs(label, () => ''),
    secrets: secret === undefined ? undefined : secretsOf(secret),
    network,
    noCache: cache ? undefined : true,
    pull,
  };
}

function ruleOf({ branch, gitTag }: SourceFlags): RefRule | undefined {
  if (branch !== undefined && gitTag !== undefined) throw new CliError('--branch, --git-tag: give one of them', '', EXIT.usage);
  if (gitTag !== undefined) return { tag: gitTag };
  return branch === undefined ? undefined : { branch };
}
