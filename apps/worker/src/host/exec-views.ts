import { createHash } from 'node:crypto';
import { execClientConfigSchema, type CreateExecBody, type ExecClientConfig, type ExecView } from '#contracts';
import type { Exec, ExecSpec } from '#engine';

const OWN_ID = /^[0-9a-f]{64}$/;
const NO_CONFIG: ExecClientConfig = { attachStdin: true, attachStdout: true, attachStderr: true, detachKeys: '', name: '', timeoutMs: null };

/** The id of an exec by the text that names it: its own, or one that a client chose, which stands for one exec of that container. */
export function execIdOf(containerId: string, text: string): string {
  return OWN_ID.test(text) ? text : createHash('sha256').update(`${containerId}\0${text}`).digest('hex');
}

export function execSpec(containerId: string, { name, ...request }: CreateExecBody): ExecSpec {
  return { ...request, ...(name === undefined ? {} : { id: execIdOf(containerId, name) }) };
}

export function execView({ id, containerId, request, state, exitCode, signal, pid, createdAt, startedAt, finishedAt }: Exec): ExecView {
  const { argv, env, workingDir, user, tty, openStdin, privileged } = request;
  return {
    id,
    containerId,
    request: { argv: [...argv], env: [...env], workingDir, user, tty, openStdin, privileged, clientConfig: clientConfigOf(request) },
    state,
    exitCode,
    signal,
    pid,
    createdAt,
    startedAt: startedAt ?? null,
    finishedAt: finishedAt ?? null,
  };
}

/** Health checks and the like are execs that no client made. */
export function clientConfigOf({ clientConfig }: ExecSpec): ExecClientConfig {
  const parsed = execClientConfigSchema.safeParse(clientConfig);
  return parsed.success ? parsed.data : NO_CONFIG;
}
