import { CodedError } from '#kernel';
import type { ImageConfig } from '../../images/index.js';
import type { Container, CreateContainer } from '../containers.js';
import { exposedPort, isExposedPort } from './network-words.js';
import type { GuestUser } from './guest-accounts.js';
import { mergeHealth } from './health-check.js';

export const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Descriptors of other processes lie there (CVE-2024-21626). */
const FORBIDDEN_FOLDER = /^\/proc(\/|$)/;

export type ContainerImageConfig = ImageConfig['config'];

export interface ProcessPlan {
  readonly effective: Container['effective'];
  readonly path: string;
  readonly args: readonly string[];
  readonly stopSignal: string | undefined;
}

/** Request and image merged, by Docker's rules. @throws CodedError `invalid_argument` */
export function planProcess(request: CreateContainer, image: ContainerImageConfig, anonymousVolumes: readonly string[]): ProcessPlan {
  const asked = request.process;
  const { entrypoint, cmd } = commandOf(asked, image);
  const health = mergeHealth(request.health, image);
  const [path, ...args] = [...(entrypoint ?? []), ...(cmd ?? [])];
  if (path === undefined) throw new CodedError('invalid_argument', 'no command specified');
  return {
    path,
    args,
    stopSignal: asked.stopSignal ?? image.StopSignal,
    effective: {
      env: mergeEnv(image.Env ?? [], asked.env),
      cmd,
      entrypoint,
      workingDir: cleanPath(asked.workingDir || (image.WorkingDir ?? '')),
      user: asked.user || (image.User ?? ''),
      labels: { ...image.Labels, ...request.labels },
      volumes: [...new Set([...Object.keys(image.Volumes ?? {}), ...anonymousVolumes])].sort(),
      exposedPorts: exposedPortsOf(request, image),
      ...(health === undefined ? {} : { health }),
    },
  };
}

/** What is published is exposed. Of an image what is no port is passed over. */
function exposedPortsOf({ exposedPorts = [], network }: CreateContainer, image: ContainerImageConfig): string[] {
  const ofImage = Object.keys(image.ExposedPorts ?? {}).filter(isExposedPort);
  const published = (network?.ports ?? []).map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  return [...new Set([...ofImage, ...exposedPorts, ...published].map(exposedPort))].sort();
}

type Command = Pick<CreateContainer['process'], 'entrypoint' | 'cmd'>;

/** A command or an entrypoint of one's own drops the image's command; `[""]` drops the image's entrypoint. */
function commandOf(asked: Command, image: ContainerImageConfig): Command {
  let { entrypoint, cmd } = asked;
  if (isEmpty(entrypoint)) {
    if (isEmpty(cmd)) cmd = image.Cmd ?? null;
    entrypoint ??= image.Entrypoint ?? null;
  }
  if (entrypoint?.length === 1 && entrypoint[0] === '') entrypoint = null;
  return { entrypoint, cmd };
}

function isEmpty(list: readonly string[] | null): boolean {
  return list === null || list.length === 0;
}

/** What the client says stands first; of the image what it does not name. A name without `=` takes the variable away. */
function mergeEnv(image: readonly string[], request: readonly string[]): string[] {
  const named = new Set(request.map(nameOf));
  return [...request, ...image.filter((entry) => !named.has(nameOf(entry)))];
}

/** The whole environment of the main process. */
export function processEnv({ env, hostname, tty, home }: { readonly env: readonly string[]; readonly hostname: string; readonly tty: boolean; readonly home: string }): string[] {
  const result = new Map<string, string>();
  for (const entry of [DEFAULT_PATH, `HOSTNAME=${hostname}`, ...(tty ? ['TERM=xterm'] : []), ...env]) {
    if (entry.includes('=')) result.set(nameOf(entry), entry);
    else result.delete(entry);
  }
  if (!result.has('HOME')) result.set('HOME', `HOME=${home}`);
  return [...result.values()];
}

function nameOf(entry: string): string {
  const at = entry.indexOf('=');
  return at < 0 ? entry : entry.slice(0, at);
}

/** Absolute, without `.`, `..` and doubled slashes; '' is '/'. @throws CodedError `invalid_argument` */
export function cleanPath(text: string): string {
  if (text === '') return '/';
  if (!text.startsWith('/')) throw new CodedError('invalid_argument', `the working directory '${text.slice(0, 200)}' is invalid, it needs to be an absolute path`);
  const clean = absolutePath(text);
  if (FORBIDDEN_FOLDER.test(clean)) throw new CodedError('invalid_argument', `the working directory '${text.slice(0, 200)}' is invalid, it must not be in /proc`);
  return clean;
}

/** `..` at the root stays there. */
export function absolutePath(text: string): string {
  const parts: string[] = [];
  for (const part of text.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

export interface StartFailure {
  readonly exitCode: number;
  readonly message: string;
}

type Attempt = Readonly<Record<'path' | 'workingDir', string>>;

/** How a program that could not be started is told: the text is what Docker's clients choose their exit code by. Without a user that is what was not found. */
export function startFailure(attempt: Attempt, user: GuestUser | undefined, failure: CodedError): StartFailure {
  const reason = user === undefined ? undefined : startReason(attempt, failure);
  if (reason === undefined) return { exitCode: 128, message: failure.message };
  return { exitCode: reason.exitCode, message: `failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: ${reason.text}: unknown` };
}

/** As `startFailure`, for a further process. */
export function execFailure(attempt: Attempt, user: GuestUser | undefined, failure: CodedError): StartFailure {
  const reason = user === undefined ? undefined : startReason(attempt, failure);
  if (reason === undefined) return { exitCode: 126, message: failure.message };
  return { exitCode: reason.exitCode, message: `OCI runtime exec failed: exec failed: unable to start container process: ${reason.text}: unknown` };
}

/** The agent says what it was at, and the system's word for what went wrong. */
const AGENT_WORDS = /^(working directory|program): (.*)$/;

function startReason({ path, workingDir }: Attempt, { code, message }: CodedError): { exitCode: number; text: string } | undefined {
  const [, stage, error = ''] = AGENT_WORDS.exec(message) ?? [];
  const words = error.charAt(0).toLowerCase() + error.slice(1);
  if (stage === 'working directory') return { exitCode: words === 'no such file or directory' ? 127 : 126, text: `chdir to cwd (${JSON.stringify(workingDir)}) set in config.json failed: ${words}` };
  const quoted = JSON.stringify(path);
  if (code === 'not_found') return { exitCode: 127, text: path.includes('/') ? `exec: ${quoted}: stat ${path}: no such file or directory` : `exec: ${quoted}: executable file not found in $PATH` };
  if (code === 'permission_denied' || code === 'invalid_argument') return { exitCode: 126, text: `exec: ${quoted}: ${words === '' ? 'permission denied' : words}` };
  return undefined;
}
