import { type IgnoreFile, PathPattern } from '#kernel';
import type { Arg, Command, Copy, Env, Expose, Instruction, Label, Workdir } from '../dockerfile/instructions.js';
import { isGitAddress } from '../../git/index.js';
import { keywordOf, type Warn } from './lint-warning.js';

const SECRET_WORDS = /(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRETS = /(?:^|_)public(?:_|$)/i;

export interface LintSurroundings {
  /** The stage says itself how its shell lines are run. */
  readonly hasShell?: boolean;
  /** A WORKDIR that is absolute came before. */
  readonly hasWorkdir?: boolean;
  readonly ignore?: Pick<IgnoreFile, 'ignores'>;
}

/** What one instruction alone says. */
export function lintInstruction(instruction: Instruction, around: LintSurroundings, warn: Warn): void {
  const { kind, place } = instruction;
  switch (kind) {
    case 'MAINTAINER':
      warn('MaintainerDeprecated', place, 'Maintainer instruction is deprecated in favor of using label');
      return;
    case 'CMD':
    case 'ENTRYPOINT':
      lintCommand(instruction, around, warn);
      return;
    case 'WORKDIR':
      lintWorkdir(instruction, around, warn);
      return;
    case 'ENV':
    case 'LABEL':
      lintPairs(instruction, warn);
      return;
    case 'ARG':
      lintSecrets(instruction, instruction.args, warn);
      return;
    case 'EXPOSE':
      lintPorts(instruction, warn);
      return;
    case 'COPY':
    case 'ADD':
      lintCopy(instruction, around.ignore, warn);
      return;
    case 'FROM':
    case 'RUN':
    case 'VOLUME':
    case 'USER':
    case 'ONBUILD':
    case 'STOPSIGNAL':
    case 'HEALTHCHECK':
    case 'SHELL':
  }
}

function lintCommand({ kind, place, command }: Command, { hasShell = false }: LintSurroundings, warn: Warn): void {
  if (command.form === 'shell' && !hasShell) warn('JSONArgsRecommended', place, `JSON arguments recommended for ${kind} to prevent unintended behavior related to OS signals`);
}

function lintWorkdir({ place, path }: Workdir, { hasWorkdir = false }: LintSurroundings, warn: Warn): void {
  if (!hasWorkdir && !isAbsolute(path)) warn('WorkdirRelativePath', place, `Relative workdir ${JSON.stringify(path)} can have unexpected results if the base image changes`);
}

/** Of a WORKDIR, as far as it can be told; a variable may be. */
export function isAbsolute(path: string): boolean {
  return /^["']?[/$]/.test(path);
}

function lintPairs(instruction: Env | Label, warn: Warn): void {
  const first = /^\S+\s+(\S+)/.exec(instruction.text.trimStart())?.[1] ?? '=';
  if (!first.includes('=')) warn('LegacyKeyValueFormat', instruction.place, `"${instruction.kind} key=value" should be used instead of legacy "${instruction.kind} key value" format`);
  if (instruction.kind === 'ENV') lintSecrets(instruction, instruction.pairs, warn);
}

function lintSecrets({ kind, place }: Env | Arg, pairs: readonly { readonly key: string }[], warn: Warn): void {
  for (const { key } of pairs) if (SECRET_WORDS.test(key) && !NO_SECRETS.test(key)) warn('SecretsUsedInArgOrEnv', place, `Do not use ARG or ENV instructions for sensitive data (${kind} ${JSON.stringify(key)})`);
}

function lintPorts({ ports, place }: Expose, warn: Warn): void {
  for (const port of ports) {
    const protocol = port.split('/')[1];
    if (protocol !== undefined && !protocol.includes('$') && protocol !== protocol.toLowerCase()) warn('ExposeProtoCasing', place, `Defined protocol '${port}' in EXPOSE instruction should be lowercase`);
    if (/^[^${}]*:/.test(port)) warn('ExposeInvalidFormat', place, `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`);
  }
}

function lintCopy(instruction: Copy, ignore: LintSurroundings['ignore'], warn: Warn): void {
  if (ignore === undefined || instruction.from !== undefined) return;
  for (const source of instruction.sources) {
    const path = source.split('/').filter((name) => name !== '' && name !== '.').join('/');
    if (path === '' || source.includes('$') || /^https?:/i.test(source) || isGitAddress(source) || !PathPattern.isLiteral(path)) continue;
    if (ignore.ignores(path)) warn('CopyIgnoredFile', instruction.place, `Attempting to ${keywordOf(instruction)} file ${JSON.stringify(source)} that is excluded by .dockerignore`);
  }
}
