import { z } from 'zod';
import { createExecSchema, execStdinSchema, MAX_EXEC_BYTES, signalExecSchema, terminalSizeSchema, type CreateExecBody } from '#contracts';
import type { Exec } from '#engine';
import { CodedError } from '#kernel';
import { RpcLater } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { execIdOf, execSpec, execView } from './exec-views.js';
import { bodyOf, hostRoute, required, type HostCall } from './host-route.js';
import type { HostServices } from './host-services.js';

/** Ctrl-D: a terminal has no end of its own. */
const END_OF_TRANSMISSION = Buffer.from([4]);

const emptySchema = z.strictObject({});

/** Processes in containers, as far as one question and one answer do; `process-tunnel-routes` has their streams. */
export function processRoutes(services: HostServices): RpcRoute[] {
  const { processes } = services;
  return [
    hostRoute('POST', '/container/resize', async (call) => {
      await processes.resize(call.tenantId, required(call, 'ref'), await bodyOf(call, terminalSizeSchema));
    }),
    hostRoute('POST', '/container/execs', async (call) => {
      return { id: await makeExec(services, call, await bodyOf(call, createExecSchema)) };
    }),
    hostRoute('GET', '/container/execs', async (call) => (await processes.listExecs(call.tenantId, required(call, 'ref'))).map(execView)),
    hostRoute('GET', '/exec', async (call) => execView(await findExec(services, call))),
    hostRoute('POST', '/exec/start', async (call) => {
      await bodyOf(call, emptySchema);
      const exec = await findExec(services, call);
      await processes.startExec(call.tenantId, exec.id);
      watchTime(services, call, exec);
    }),
    hostRoute('POST', '/exec/resize', async (call) => {
      const { id } = await findExec(services, call);
      await processes.resizeExec(call.tenantId, id, await bodyOf(call, terminalSizeSchema));
    }),
    hostRoute('POST', '/exec/signal', async (call) => {
      const { id } = await findExec(services, call);
      await processes.signalExec(call.tenantId, id, (await bodyOf(call, signalExecSchema)).signal);
    }),
    hostRoute('POST', '/exec/stdin', async (call) => {
      const { data, eof } = await bodyOf(call, execStdinSchema);
      await writeStdin(services, call, Buffer.from(data, 'base64'), eof);
    }),
    hostRoute('GET', '/exec/wait', async (call) => {
      const { id } = await findExec(services, call);
      return new RpcLater(processes.waitExec(call.tenantId, id, call.signal).then(execView));
    }),
  ];
}

/** By `id`, one that a client chose too where `ref` says of which container. @throws CodedError `not_found` */
export async function findExec({ processes, containers }: Pick<HostServices, 'processes' | 'containers'>, call: Pick<HostCall, 'tenantId' | 'query'>): Promise<Exec> {
  const text = call.query.get('id') ?? '';
  const ref = call.query.get('ref');
  if (ref === null) return processes.getExec(call.tenantId, text);
  const { id: containerId } = await containers.get(call.tenantId, ref);
  const unknown = new CodedError('not_found', `No such exec instance: ${text}`);
  const exec = await processes.getExec(call.tenantId, execIdOf(containerId, text)).catch((error: unknown) => {
    throw error instanceof CodedError && error.code === 'not_found' ? unknown : error;
  });
  if (exec.containerId !== containerId) throw unknown;
  return exec;
}

/** One of the container `ref`. @throws CodedError `not_found`, `conflict`, `invalid_argument` */
export async function makeExec({ processes, containers }: Pick<HostServices, 'processes' | 'containers'>, call: Pick<HostCall, 'tenantId' | 'query'>, body: CreateExecBody): Promise<string> {
  assertSize(body);
  const ref = required(call, 'ref');
  // Only a name has to be told apart from the same name in another container.
  const spec = execSpec(body.name === undefined ? '' : (await containers.get(call.tenantId, ref)).id, body);
  return (await processes.createExec(call.tenantId, ref, spec)).id;
}

/** To be called once it runs. */
export function watchTime({ deadlines }: Pick<HostServices, 'deadlines'>, { tenantId }: Pick<HostCall, 'tenantId'>, exec: Exec): void {
  const { timeoutMs } = execView(exec).request.clientConfig;
  if (timeoutMs !== null) deadlines.set(tenantId, exec.id, timeoutMs);
}

async function writeStdin({ processes, containers }: HostServices, call: HostCall, bytes: Buffer, eof: boolean): Promise<void> {
  const exec = await findExec({ processes, containers }, call);
  if (!exec.request.openStdin) throw new CodedError('failed_precondition', 'stdin of this exec is not open', { started: exec.state !== 'created' });
  if (exec.state !== 'running') throw new CodedError('failed_precondition', exec.state === 'created' ? 'the program has not started yet' : 'the program has ended', { started: exec.state !== 'created' });
  const stream = await processes.attachExec(call.tenantId, exec.id, { stdin: true, stdout: false, stderr: false, logs: false, follow: true });
  const close = (): void => {
    stream.close();
  };
  // A program that does not read holds the writer back, not for longer than the writer waits.
  call.signal.addEventListener('abort', close, { once: true });
  try {
    if (bytes.length > 0) await stream.write(bytes);
    if (eof) await (exec.request.tty ? stream.write(END_OF_TRANSMISSION) : stream.end());
  } finally {
    call.signal.removeEventListener('abort', close);
    close();
  }
}

function assertSize({ argv, env }: CreateExecBody): void {
  let bytes = 0;
  for (const text of [...argv, ...env]) bytes += Buffer.byteLength(text) + 9;
  if (bytes > MAX_EXEC_BYTES) throw new CodedError('invalid_argument', 'the arguments and variables are too long', { bytes, limit: MAX_EXEC_BYTES });
}
