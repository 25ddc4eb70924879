import { constants } from 'node:os';
import type { ExecView, SandboxExecView } from '#contracts';

const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Undefined numbers are those of real-time signals. */
export function signalName(number: number | null): string | null {
  if (number === null) return null;
  return SIGNALS.get(number) ?? `SIG${number}`;
}

export function toSandboxExecView({ id, containerId, request, state, exitCode, signal, createdAt, startedAt, finishedAt }: ExecView): SandboxExecView {
  const { argv, workingDir, user, tty, openStdin, clientConfig } = request;
  const { name, timeoutMs } = clientConfig;
  return {
    id,
    name: name === '' ? null : name,
    sandboxId: containerId,
    state,
    command: argv,
    workingDir: workingDir === '' ? null : workingDir,
    user: user === '' ? null : user,
    tty,
    stdinOpen: openStdin,
    timeoutMs,
    exitCode: signal === null ? exitCode : null,
    signal: signalName(signal),
    timedOut: signal === constants.signals.SIGKILL && timeoutMs !== null && startedAt !== null && finishedAt !== null && finishedAt - startedAt >= timeoutMs,
    createdAt: new Date(createdAt).toISOString(),
    startedAt: startedAt === null ? null : new Date(startedAt).toISOString(),
    finishedAt: finishedAt === null ? null : new Date(finishedAt).toISOString(),
  };
}
