import type { KeyValue } from '../dockerfile/instructions.js';
import type { BuildConfig } from './steps.js';

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** A variable takes the place of one of its name, else it comes last. */
export function withEnv(config: BuildConfig, pairs: readonly KeyValue[]): BuildConfig {
  const env = [...(config.Env ?? [])];
  const places = new Map<string, number>();
  for (const [at, entry] of env.entries()) {
    const name = entry.split('=', 1)[0] ?? '';
    if (!places.has(name)) places.set(name, at);
  }
  for (const { key, value } of pairs) {
    const at = places.get(key) ?? env.length;
    places.set(key, at);
    env[at] = `${key}=${value}`;
  }
  return { ...config, Env: env };
}

export function withLabels(config: BuildConfig, pairs: readonly KeyValue[]): BuildConfig {
  return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs.map(({ key, value }) => [key, value])) } };
}

const PORT = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i;

/** Of one instruction, ranges counted out: all there are, of each protocol. */
const MAX_PORTS = 3 * 65_536;

/** `80`, `53/udp`, `8000-8010`. undefined: one of them is none, or they are too many. */
export function withPorts(config: BuildConfig, ports: readonly string[]): BuildConfig | undefined {
  const exposed: Record<string, object> = { ...config.ExposedPorts };
  let count = 0;
  for (const text of ports) {
    const [, low, high = low, protocol = 'tcp'] = PORT.exec(text) ?? [];
    const [from, to] = [Number(low), Number(high)];
    count += to - from + 1;
    if (low === undefined || from > to || to > 65_535 || count > MAX_PORTS) return undefined;
    for (let port = from; port <= to; port += 1) exposed[`${port}/${protocol.toLowerCase()}`] = {};
  }
  return { ...config, ExposedPorts: exposed };
}

export function withVolumes(config: BuildConfig, paths: readonly string[]): BuildConfig {
  return { ...config, Volumes: { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) } };
}

/** As Docker's engine has it: what is found without a path of its own. */
const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What a stage begins with always says where programs are. */
export function withPath(config: BuildConfig): BuildConfig {
  const env = config.Env ?? [];
  return env.some((entry) => entry.startsWith('PATH=')) ? config : { ...config, Env: [...env, DEFAULT_PATH] };
}

/** Without the triggers of the base, which were carried out; what is not there is not named. */
export function withoutTriggers(config: BuildConfig): BuildConfig {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== 'OnBuild'));
}

export function withoutCommand(config: BuildConfig): BuildConfig {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== 'Cmd'));
}

/** Relative ones go on from the last; `..` at the root stays there. */
export function resolvedPath(from: string, path: string): string {
  const names: string[] = [];
  for (const name of `${path.startsWith('/') ? '' : from}/${path}`.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return `/${names.join('/')}`;
}
