import type { Command } from 'commander';
import { secretsOf } from './build-source.js';
import { collect, pairs } from './option-values.js';

/** What says how an image is built, of every command that has one built. */
export interface BuildFlags {
  readonly target?: string;
  readonly buildArg?: string[];
  readonly label?: string[];
  readonly secret?: string[];
  readonly platform?: string;
  readonly network?: string;
  /** Commander's, of --no-cache: true when it is not there. */
  readonly cache: boolean;
  readonly pull?: boolean;
}

export function buildOptions(command: Command): Command {
  return command
    .option('--target <stage>', 'name or number of the stage to build')
    .option('--build-arg <name[=value]>', "value of an ARG; without a value the environment's (again for more)", collect)
    .option('--label <key=value>', 'label of the image (again for more)', collect)
    .option('--secret <id=name,src=file>', 'for RUN --mount=type=secret; or id=name,env=NAME. GIT_AUTH_TOKEN opens a private repository (again for more)', collect)
    .option('--platform <os/architecture>', 'such as linux/amd64')
    .option('--network <name>', 'of each RUN: default, none, or a network of yours')
    .option('--no-cache', 'carry out every step anew')
    .option('--pull', 'fetch bases although they are here');
}

/** Members that were not given are undefined: they are not sent. @throws CliError */
export function buildPartOf({ target, buildArg, label, secret, platform, network, cache, pull }: BuildFlags) {
  return {
    target,
    platform,
    network,
    // As with Docker's client, one that the environment does not have is not given.
    buildArgs: buildArg === undefined ? undefined : pairs(buildArg.filter((option) => option.includes('=') || process.env[option] !== undefined), (name) => process.env[name]),
    labels: label === undefined ? undefined : pairs(label, () => ''),
    secrets: secret === undefined ? undefined : secretsOf(secret),
    noCache: cache ? undefined : true,
    pull,
  };
}
