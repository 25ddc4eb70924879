import { constants } from 'node:os';
import { posix } from 'node:path';
import { CodedError } from '#kernel';
import { expandWord, splitWords, type Variables } from './change-words.js';
import { execFormOf } from './exec-form.js';
import { parseHealthcheck } from './healthcheck-change.js';
import type { ImageConfig } from './images.js';

type Config = ImageConfig['config'];
interface Context {
  readonly config: Config;
  /** A CMD was among the changes: an ENTRYPOINT then leaves it. */
  readonly cmdSet: boolean;
}
type Change = (context: Context, rest: string, instruction: string) => Config;

const DEFAULT_SHELL = ['/bin/sh', '-c'];
const PORT = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([A-Za-z]+))?$/;
const MAX_PORT = 65_535;

const CHANGES: Readonly<Record<string, Change>> = {
  cmd: ({ config }, rest) => ({ ...config, Cmd: commandOf(config, rest) }),
  entrypoint: ({ config, cmdSet }, rest) => ({ ...(cmdSet ? config : without(config, 'Cmd')), Entrypoint: commandOf(config, rest) }),
  env: ({ config }, rest, instruction) => ({ ...config, Env: pairsOf(config, rest, instruction).reduce(withVariable, config.Env ?? []) }),
  label: ({ config }, rest, instruction) => ({ ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairsOf(config, rest, instruction)) } }),
  expose: ({ config }, rest) => ({ ...config, ExposedPorts: { ...config.ExposedPorts, ...setOf(wordsOf(config, rest).flatMap(portsOf)) } }),
  volume: ({ config }, rest) => ({ ...config, Volumes: { ...config.Volumes, ...setOf(volumesOf(config, rest)) } }),
  user: ({ config }, rest, instruction) => ({ ...config, User: oneWord(config, rest, instruction) }),
  workdir: ({ config }, rest) => ({ ...config, WorkingDir: posix.resolve('/', config.WorkingDir ?? '', expandWord(rest, variablesOf(config))) }),
  stopsignal: ({ config }, rest, instruction) => ({ ...config, StopSignal: signalOf(oneWord(config, rest, instruction)) }),
  onbuild: ({ config }, rest) => ({ ...config, OnBuild: [...(config.OnBuild ?? []), triggerOf(rest)] }),
  healthcheck: ({ config }, rest) => ({ ...config, Healthcheck: parseHealthcheck(rest) }),
};

/**
 * A config with Dockerfile instructions carried out on it, as `docker commit --change` and `docker import --change` take them: CMD, ENTRYPOINT, ENV, EXPOSE,
 * HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR. One may have several lines, each an instruction.
 * @throws CodedError `invalid_argument` in Docker's words (`RUN is not a valid change command`)
 */
export function applyChanges(config: Config, changes: readonly string[]): Config {
  const instructions = changes.flatMap(linesOf).map((line) => {
    const [, instruction = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(line) ?? [];
    const key = instruction.toLowerCase();
    const change = Object.hasOwn(CHANGES, key) ? CHANGES[key] : undefined;
    if (!change) throw invalid(`${instruction} is not a valid change command`);
    return { instruction: instruction.toUpperCase(), change, rest: rest.trim() };
  });
  let context: Context = { config, cmdSet: false };
  for (const { instruction, change, rest } of instructions) {
    if (rest === '') throw invalid(`${instruction} requires at least one argument`);
    context = { config: change(context, rest, instruction), cmdSet: context.cmdSet || instruction === 'CMD' };
  }
  return context.config;
}

/** Without comments; a backslash at the end of a line goes on with the next. */
function linesOf(change: string): string[] {
  return change
    .replace(/^\s*#.*$/gm, '')
    .replace(/\\[ \t]*\r?\n/g, '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function commandOf({ Shell }: Config, rest: string): readonly string[] {
  return execFormOf(rest) ?? [...(Shell ?? DEFAULT_SHELL), rest];
}

/** `a=b c="d e"`, or in the old form `a the rest`. All words are expanded with what was before the instruction. */
function pairsOf(config: Config, rest: string, instruction: string): [string, string][] {
  const words = splitWords(rest);
  const variables = variablesOf(config);
  const [first = ''] = words;
  if (!first.includes('=')) {
    const value = rest.slice(first.length).trim();
    if (value === '') throw invalid(`${instruction} must have two arguments`);
    return [[expandWord(first, variables), expandWord(value, variables)]];
  }
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at < 0) throw invalid(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`);
    const name = expandWord(word.slice(0, at), variables);
    if (name === '') throw invalid(`${instruction} names can not be blank`);
    return [name, expandWord(word.slice(at + 1), variables)];
  });
}

function variablesOf({ Env }: Config): Variables {
  return new Map((Env ?? []).map((pair) => [pair.split('=', 1)[0] ?? '', pair.slice(pair.indexOf('=') + 1)]));
}

function withVariable(env: readonly string[], [name, value]: readonly [string, string]): readonly string[] {
  const pair = `${name}=${value}`;
  const at = env.findIndex((known) => known.split('=', 1)[0] === name);
  return at < 0 ? [...env, pair] : env.with(at, pair);
}

function wordsOf(config: Config, rest: string): string[] {
  return splitWords(rest).map((word) => expandWord(word, variablesOf(config)));
}

function oneWord(config: Config, rest: string, instruction: string): string {
  const words = wordsOf(config, rest);
  if (words.length !== 1 || words[0] === undefined) throw invalid(`${instruction} requires exactly one argument`);
  return words[0];
}

function volumesOf(config: Config, rest: string): string[] {
  const volumes = execFormOf(rest)?.map((word) => expandWord(word, variablesOf(config))) ?? wordsOf(config, rest);
  if (volumes.some((volume) => volume.trim() === '')) throw invalid('VOLUME specified can not be an empty string');
  return volumes;
}

function portsOf(spec: string): string[] {
  const [, from, to = from, protocol = 'tcp'] = PORT.exec(spec) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === undefined || first > last || last > MAX_PORT) throw invalid(`invalid containerPort: ${spec}`);
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw invalid(`invalid proto: ${protocol}`);
  return Array.from({ length: last - first + 1 }, (_, step) => `${first + step}/${protocol.toLowerCase()}`);
}

function signalOf(signal: string): string {
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const isKnown = /^\d+$/.test(name) ? Number(name) >= 1 && Number(name) <= 64 : `SIG${name}` in constants.signals || /^RTM(IN(\+\d+)?|AX(-\d+)?)$/.test(name);
  if (!isKnown) throw invalid(`invalid signal: ${signal}`);
  return signal;
}

function triggerOf(rest: string): string {
  const trigger = (/^\S+/.exec(rest)?.[0] ?? '').toUpperCase();
  if (trigger === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'MAINTAINER' || trigger === 'FROM') throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`);
  return rest;
}

function setOf(keys: readonly string[]): Record<string, object> {
  return Object.fromEntries(keys.map((key) => [key, {}]));
}

function without(config: Config, field: keyof Config): Config {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== field));
}

function invalid(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
