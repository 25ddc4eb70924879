import { z } from 'zod';
import { createExecSchema, terminalSizeSchema, tunnelFormatSchema, type ExecClientConfig } from '#contracts';
import type { AttachOptions, Exec, TerminalSize } from '#engine';
import { parseId } from '#kernel';
import type { RpcUpgradeRequest, RpcUpgradeRoute } from '../node/rpc-upgrades.js';
import { DialledStream } from './dialled-stream.js';
import { clientConfigOf } from './exec-views.js';
import { flag, integer, parse, required } from './host-route.js';
import type { HostServices } from './host-services.js';
import { findExec, makeExec, watchTime } from './process-routes.js';
import { ProcessTunnel } from './process-tunnel.js';

const STALL_MS = 60_000;
const portSchema = z.int().min(1).max(65_535);

/** The streams of processes in containers, as upgraded connections. `docs/node-rpc.md` */
export function processTunnelRoutes(services: HostServices, stallMs: number = STALL_MS): RpcUpgradeRoute[] {
  const { processes } = services;
  return [
    upgradeRoute('/container/attach', async (call) => {
      const ref = required(call, 'ref');
      const options = attachOptions(call);
      const stream = await processes.attach(call.tenantId, ref, options);
      const resize = (size: TerminalSize): Promise<void> => processes.resize(call.tenantId, ref, size);
      return new ProcessTunnel(stream, { format: formatOf(call), stdin: options.stdin, stallMs, resize, exit: (ended) => Promise.resolve(ended) });
    }),
    upgradeRoute('/exec/attach', async (call) => execTunnel(services, call, await findExec(services, call), stallMs)),
    upgradeRoute('/container/exec', async (call) => {
      const id = await makeExec(services, call, parse(createExecSchema, await call.json()));
      return execTunnel(services, call, await processes.getExec(call.tenantId, id), stallMs);
    }),
    upgradeRoute('/container/port', async (call) => {
      const port = parse(portSchema, integer(call, 'port'));
      const connection = await services.ports.connect(call.tenantId, required(call, 'ref'), port);
      return new ProcessTunnel(new DialledStream(connection), { format: 'raw', stdin: true, stallMs, resize: () => Promise.resolve(), exit: (ended) => Promise.resolve(ended) });
    }),
  ];
}

/** Attached to before it is started, so that nothing is missed. */
async function execTunnel(services: HostServices, call: UpgradeCall, exec: Exec, stallMs: number): Promise<ProcessTunnel> {
  const { processes } = services;
  const { tenantId } = call;
  const options = flag(call, 'asCreated') ? { ...attachOptions(call), ...asCreated(clientConfigOf(exec.request)) } : attachOptions(call);
  const stream = await processes.attachExec(tenantId, exec.id, options);
  if (flag(call, 'start')) {
    try {
      await processes.startExec(tenantId, exec.id, sizeOf(call));
    } catch (error) {
      stream.close();
      throw error;
    }
    watchTime(services, call, exec);
  }
  const exit = async ({ exitCode }: { readonly exitCode: number }): Promise<object> => ({ exitCode, signal: (await processes.getExec(tenantId, exec.id)).signal });
  const resize = (size: TerminalSize): Promise<void> => processes.resizeExec(tenantId, exec.id, size);
  return new ProcessTunnel(stream, { format: formatOf(call), stdin: options.stdin, stallMs, resize, exit, execId: exec.id });
}

type UpgradeCall = RpcUpgradeRequest & { readonly tenantId: ReturnType<typeof parseId<'tenant'>> };

function upgradeRoute(path: string, open: (call: UpgradeCall) => ReturnType<RpcUpgradeRoute['open']>): RpcUpgradeRoute {
  return {
    path: new RegExp(`^\\/tenants\\/([^/]+)${path.replace(/[/.]/g, '\\$&')}$`),
    open: (request) => open({ ...request, tenantId: parseId('tenant', request.groups[0]) }),
  };
}

function attachOptions(call: UpgradeCall): AttachOptions {
  const after = integer(call, 'after');
  const keys = call.query.get('detachKeys');
  return {
    stdin: flag(call, 'stdin'),
    stdout: flag(call, 'stdout'),
    stderr: flag(call, 'stderr'),
    logs: flag(call, 'logs'),
    follow: flag(call, 'follow'),
    ...(after === undefined ? {} : { after }),
    ...(keys === null ? {} : { detachKeys: Buffer.from(keys, 'base64url') }),
  };
}

/** Docker's clients say with the exec's creation what they will attach to. */
function asCreated({ attachStdin, attachStdout, attachStderr, detachKeys }: ExecClientConfig): Partial<AttachOptions> & Pick<AttachOptions, 'stdin'> {
  return { stdin: attachStdin, stdout: attachStdout, stderr: attachStderr, ...(detachKeys === '' ? {} : { detachKeys: Buffer.from(detachKeys, 'base64') }) };
}

function formatOf(call: UpgradeCall) {
  return parse(tunnelFormatSchema, call.query.get('format') ?? 'auto');
}

function sizeOf(call: UpgradeCall): TerminalSize | undefined {
  const [columns, rows] = [integer(call, 'columns'), integer(call, 'rows')];
  return columns === undefined || rows === undefined ? undefined : parse(terminalSizeSchema, { columns, rows });
}
