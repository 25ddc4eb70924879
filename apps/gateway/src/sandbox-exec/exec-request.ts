import { createHash } from 'node:crypto';
import type { CreateExecBody, CreateSandboxExec } from '#contracts';

/** What an exec of REST is on the node. With a key and no name of its own, the key names it. */
export function toExecRequest(exec: CreateSandboxExec, key: string | undefined): CreateExecBody {
  const { command, env, workingDir = '', user = '', tty, stdin, stdinOpen, timeoutMs } = exec;
  // 64 hex digits would pass for an id: a prefix keeps names apart from it.
  const name = exec.id ?? (key === undefined ? undefined : `key-${createHash('sha256').update(key).digest('hex')}`);
  const openStdin = stdinOpen || stdin !== '';
  return {
    ...(name === undefined ? {} : { name }),
    argv: typeof command === 'string' ? ['/bin/sh', '-c', command] : command,
    env: Object.entries(env).map(([variable, value]) => `${variable}=${value}`),
    workingDir,
    user,
    tty,
    openStdin,
    privileged: false,
    clientConfig: { attachStdin: openStdin, attachStdout: true, attachStderr: true, detachKeys: '', name: exec.id ?? '', timeoutMs: timeoutMs ?? null },
  };
}
