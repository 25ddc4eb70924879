import type { BuildSourceView, CreateBuildSourceInput, RefRule, UpdateBuildSourceInput } from '#contracts';
import type { Command } from 'commander';
import { buildOptions, buildPartOf, type BuildFlags } from './build-flags.js';
import { CliError, EXIT } from './failure.js';
import { collect } from './option-values.js';

export interface SourceFlags extends BuildFlags {
  readonly git?: string;
  readonly subdir?: string;
  readonly branch?: string;
  readonly gitTag?: string;
  readonly file?: string;
  readonly tag?: string[];
}

/** What says how a source builds, of the commands that make and change one. */
export function sourceOptions(command: Command): Command {
  return buildOptions(
    command
      .option('--subdir <folder>', 'folder of the repository that is the context')
      .option('--branch <pattern>', 'pushes to it build; * stands for any characters')
      .option('--git-tag <pattern>', 'pushes of such tags build, instead of a branch')
      .option('-f, --file <dockerfile>', 'path in the context')
      .option('-t, --tag <name>', 'name of the image; its tag may hold {branch} or {tag}, {sha}, {sha7} (again for more)', collect),
  );
}

/** @throws CliError */
export function newSource(name: string, url: string, flags: SourceFlags): CreateBuildSourceInput {
  const { tag, file, subdir } = flags;
  if (tag === undefined) throw new CliError('--tag: an image needs a name', '', EXIT.usage);
  return { ...buildPartOf(flags), name, git: { url, subdir }, tags: tag, on: ruleOf(flags), dockerfile: file };
}

/** Of a source whose repository is `git`: what was given, and nothing else. @throws CliError */
export function changeOf(flags: SourceFlags, git: BuildSourceView['git']): UpdateBuildSourceInput {
  const { tag, file, subdir } = flags;
  const moved = flags.git === undefined && subdir === undefined ? undefined : { url: flags.git ?? git.url, subdir: subdir ?? git.subdir };
  return { ...buildPartOf(flags), git: moved, tags: tag, on: ruleOf(flags), dockerfile: file };
}

function ruleOf({ branch, gitTag }: SourceFlags): RefRule | undefined {
  if (branch !== undefined && gitTag !== undefined) throw new CliError('--branch, --git-tag: give one of them', '', EXIT.usage);
  if (gitTag !== undefined) return { tag: gitTag };
  return branch === undefined ? undefined : { branch };
}
