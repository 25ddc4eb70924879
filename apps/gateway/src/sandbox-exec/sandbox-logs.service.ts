import { Inject, Injectable } from '@nestjs/common';
import type { ProcessExit } from '#contracts';
import type { TenantCaller } from '../auth/caller.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import { inSandboxWords } from '../sandboxes/sandbox-words.js';
import type { LogsQuery } from './exec-requests.schema.js';
import { outputOf, type OutputChunk } from './process-output.js';

/** What the main program of a sandbox has written, in all its runs. */
@Injectable()
export class SandboxLogs {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  /** Checks first, so that a refusal can still be an answer. @throws CodedError `not_found` */
  async open(caller: TenantCaller, ref: string, { after, follow, since, stdout, stderr }: LogsQuery, signal: AbortSignal): Promise<AsyncGenerator<OutputChunk | ProcessExit, void, undefined>> {
    return inSandboxWords(
      (async () => {
        const host = this.hosts.of(caller.tenant);
        const { id, state } = await host.container(ref);
        // Of one that does not run there is nothing to come before its next start.
        const live = follow && (state.status === 'running' || state.status === 'paused');
        const { socket } = await host.processes.attach(id, { format: 'frames', stdin: false, stdout, stderr, logs: true, follow: live, after }, signal);
        return from(since, outputOf(socket));
      })(),
    );
  }
}

async function* from(since: number, output: AsyncGenerator<OutputChunk | ProcessExit, void, undefined>): AsyncGenerator<OutputChunk | ProcessExit, void, undefined> {
  for await (const frame of output) if (frame.type === 'exit' || frame.timeMs >= since) yield frame;
}
