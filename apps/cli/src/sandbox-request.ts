import type { CreateSandboxInput } from '#contracts';
import { CliError, EXIT } from './failure.js';
import { pairs } from './option-values.js';

export interface SandboxOptions {
  readonly runtime?: string;
  readonly name?: string;
  readonly env?: readonly string[];
  readonly label?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly memory?: number;
  readonly cpus?: number;
  readonly pids?: number;
  readonly disk?: number;
  readonly network?: string;
  readonly publish?: readonly string[];
  readonly volume?: readonly string[];
  readonly restart?: string;
  readonly tty?: boolean;
  readonly rm?: boolean;
  readonly readOnly?: boolean;
  readonly start: boolean;
}

/** The request for a sandbox of the words and options of the command line. @throws CliError */
export function sandboxRequest(words: readonly string[], options: SandboxOptions): CreateSandboxInput {
  const ports = (options.publish ?? []).map(portOf);
  const network = options.network ?? (ports.length === 0 ? undefined : 'bridge');
  return {
    ...programOf(words, options.runtime),
    ...(options.name === undefined ? {} : { name: options.name }),
    env: pairs(options.env ?? [], (name) => process.env[name]),
    labels: pairs(options.label ?? [], () => ''),
    ...(options.workdir === undefined ? {} : { workingDir: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    limits: limitsOf(options),
    ...(network === undefined ? {} : { network: { mode: network, ports } }),
    mounts: (options.volume ?? []).map(mountOf),
    ...(options.restart === undefined ? {} : { restart: restartOf(options.restart) }),
    tty: options.tty === true,
    stdin: options.tty === true,
    autoRemove: options.rm === true,
    readOnlyRootfs: options.readOnly === true,
    start: options.start,
  };
}

/** Of a runtime, every word belongs to the command. */
function programOf(words: readonly string[], runtime: string | undefined): Pick<CreateSandboxInput, 'image' | 'runtime' | 'command'> {
  if (runtime !== undefined) return { runtime, ...(words.length === 0 ? {} : { command: [...words] }) };
  const [image, ...command] = words;
  if (image === undefined) throw new CliError('an image or a runtime is needed', 'Such as sandbar sandbox create busybox, or sandbar sandbox create -r python', EXIT.usage);
  return { image, ...(command.length === 0 ? {} : { command }) };
}

function limitsOf({ memory, cpus, pids, disk }: SandboxOptions): NonNullable<CreateSandboxInput['limits']> {
  return {
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(cpus === undefined ? {} : { cpuMillis: Math.round(cpus * 1000) }),
    ...(pids === undefined ? {} : { pids }),
    ...(disk === undefined ? {} : { diskBytes: disk }),
  };
}

type Port = NonNullable<NonNullable<CreateSandboxInput['network']>['ports']>[number];
type Mount = NonNullable<CreateSandboxInput['mounts']>[number];

/** `80`, `8080:80`, `127.0.0.1:8080:80`, each with `/udp`. */
function portOf(text: string): Port {
  const [, hostAddress = '', hostPort = '', port = '', protocol] = /^(?:(?:(\d+\.\d+\.\d+\.\d+):)?(\d*):)?(\d+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  if (port === '') throw new CliError(`${text}: give PORT, HOSTPORT:PORT or ADDRESS:HOSTPORT:PORT`, '', EXIT.usage);
  return { port: Number(port), hostPort: Number(hostPort), hostAddress, ...(protocol === 'udp' ? { protocol: 'udp' } : {}) };
}

/** `volume:/path[:ro]`, `/of/the/host:/path[:ro]`, `/path` (a volume without a name). */
function mountOf(text: string): Mount {
  const parts = text.split(':');
  const readOnly = parts.length > 1 && parts.at(-1) === 'ro';
  const [source, path, ...rest] = readOnly ? parts.slice(0, -1) : parts;
  if (source === undefined || rest.length > 0 || !(path ?? source).startsWith('/')) throw new CliError(`${text}: give VOLUME:/path[:ro] or /folder:/path[:ro]`, '', EXIT.usage);
  if (path === undefined) return { kind: 'volume', path: source, readOnly };
  return source.startsWith('/') ? { kind: 'bind', source, path, readOnly } : { kind: 'volume', volume: source, path, readOnly };
}

/** `no`, `always`, `unless-stopped`, `on-failure[:times]`. */
function restartOf(text: string): NonNullable<CreateSandboxInput['restart']> {
  const [, kind, times] = /^(no|always|unless-stopped|on-failure)(?::(\d{1,6}))?$/.exec(text) ?? [];
  if (kind === undefined || (times !== undefined && kind !== 'on-failure')) throw new CliError(`${text}: give no, always, unless-stopped or on-failure[:times]`, '', EXIT.usage);
  return { kind: kind as 'no' | 'always' | 'unless-stopped' | 'on-failure', maxRetries: Number(times ?? 0) };
}
