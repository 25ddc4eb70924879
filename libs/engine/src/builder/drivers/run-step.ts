import { StringDecoder } from 'node:string_decoder';
import { CodedError, type Digest } from '#kernel';
import type { ContainerNetworking, CreateContainer, ProcessStream } from '../../containers/index.js';
import type { RunStep } from '../stages/steps.js';
import type { BuildSession } from './build-session.js';
import { SECRET_FOLDER } from './run-secrets.js';
import { SecretMask } from './secret-mask.js';
import { SCRIPT_FOLDER, type RunMounts } from './run-mounts.js';

const NETWORKING: Omit<ContainerNetworking, 'mode'> = { endpoints: [], ports: [], publishAll: false, links: [], dns: { servers: [], search: [], options: [] }, extraHosts: [], egress: { kind: 'all' } };

export interface RunWork {
  readonly session: BuildSession;
  readonly step: RunStep;
  readonly below: Digest;
  readonly mounts: RunMounts;
  /** What its image is to say of the step. */
  readonly record: Readonly<Record<string, unknown>>;
  /** Paths that the layer leaves out. */
  readonly without: readonly string[];
  readonly number: number;
}

/**
 * Carries a RUN out in a container of the tenant and makes an image of what it changed. When this is over nothing of the container runs, whichever way it ends, and
 * it is gone, or goes before the build ends.
 * @throws CodedError `invalid_argument` (`The command '…' returned a non-zero code: N`), `cancelled`, as `Containers.start`
 */
export async function runStep(work: RunWork): Promise<Digest> {
  const { session, step, number } = work;
  const { services, tenantId } = session;
  const { id } = await services.containers.create(tenantId, containerOf(work));
  const removed = (): Promise<void> => services.containers.remove(tenantId, id, { force: true, volumes: true });
  let imageId: Digest | undefined;
  try {
    await fill(work, id);
    await session.report({ kind: 'running', step: number, containerId: id });
    await executed(work, id);
    session.mustGoOn();
    const { config, author, createdBy } = step;
    imageId = await services.containers.commitAs(tenantId, id, { config, author, createdBy, without: work.without, withoutLinksInto: SECRET_FOLDER, extra: work.record });
    return imageId;
  } finally {
    // What did not come to its end may still run, and hold what another step waits for.
    if (imageId === undefined) await removed();
    else await session.behind(removed);
    if (!session.signal.aborted) await session.report({ kind: 'removed', step: number, containerId: id });
  }
}

async function executed({ session, step, number, mounts }: RunWork, id: string): Promise<void> {
  const { services, tenantId, signal } = session;
  const stream = await services.processes.attach(tenantId, id, { stdin: false, stdout: true, stderr: true, logs: true, follow: true });
  try {
    const told = tell(stream, session, number, mounts.secrets.texts);
    // Its failure is looked at when the program has been started.
    told.catch(() => undefined);
    const secrets = mounts.secrets.start();
    await services.containers.start(tenantId, id, secrets === undefined ? {} : { secrets });
    const ended = services.containers.wait(tenantId, id, 'not-running', signal);
    ended.catch(() => undefined);
    await told;
    const { exitCode } = await ended;
    if (exitCode !== 0) throw new CodedError('invalid_argument', `The command '${step.argv.join(' ')}' returned a non-zero code: ${exitCode}`, { exitCode });
  } finally {
    stream.close();
  }
}

async function tell(stream: ProcessStream, session: BuildSession, step: number, secrets: readonly string[]): Promise<void> {
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  const masks = { stdout: new SecretMask(secrets), stderr: new SecretMask(secrets) };
  const say = async (name: 'stdout' | 'stderr', text: string): Promise<void> => {
    if (text !== '') await session.report({ kind: 'log', step, stream: name, text });
  };
  const abort = (): void => {
    stream.close();
  };
  session.signal.addEventListener('abort', abort, { once: true });
  try {
    if (session.signal.aborted) abort();
    for await (const chunk of stream.output()) {
      await say(chunk.stream, masks[chunk.stream].push(decoders[chunk.stream].write(chunk.bytes)));
    }
    if (!session.signal.aborted) for (const name of ['stdout', 'stderr'] as const) await say(name, masks[name].end());
  } finally {
    session.signal.removeEventListener('abort', abort);
  }
}

async function fill({ session, mounts }: RunWork, id: string): Promise<void> {
  const { containers, volumes } = session.services;
  if (mounts.filled.length === 0) return;
  const container = await containers.get(session.tenantId, id);
  for (const { destination, tar } of mounts.filled) {
    const name = container.mounts.find((mount) => mount.destination === destination)?.name;
    if (name === undefined) throw new CodedError('internal', 'a mount of a build is missing');
    await volumes.extract(session.tenantId, name, tar());
  }
}

function containerOf({ session, step, below, mounts }: RunWork): CreateContainer {
  if (step.network === 'host') throw new CodedError('unsupported', 'the network of the host is not open to builds on this server');
  const { network, extraHosts = [], ulimits } = session.request;
  const mode = step.network === 'none' ? 'none' : network === 'default' ? 'bridge' : network;
  const { argv, env, proxyEnv, config, script } = step;
  return {
    transient: true,
    image: below,
    process: {
      // In the place of the image's own.
      entrypoint: [''],
      cmd: script === undefined ? argv : [`${SCRIPT_FOLDER}/${argv[0] ?? 'script'}`],
      env: [...env, ...proxyEnv],
      workingDir: config.WorkingDir ?? '/',
      user: config.User ?? '',
      tty: false,
      openStdin: false,
      ...(ulimits === undefined ? {} : { ulimits }),
    },
    labels: {},
    mounts: mounts.mounts,
    volumesFrom: [],
    limits: session.request.limits,
    network: { mode, ...NETWORKING, extraHosts: mode === 'none' ? [] : extraHosts },
    health: { test: ['NONE'], intervalMs: 0, timeoutMs: 0, startPeriodMs: 0, startIntervalMs: 0, retries: 0 },
    capabilities: { add: [], drop: [], privileged: false },
    readOnlyRootfs: false,
    autoRemove: false,
    clientConfig: {},
  };
}
