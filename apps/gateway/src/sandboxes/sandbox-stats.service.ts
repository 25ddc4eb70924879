import { Inject, Injectable } from '@nestjs/common';
import type { SandboxStats } from '#contracts';
import { CodedError, type Clock } from '#kernel';
import type { TenantCaller } from '../auth/caller.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { CLOCK, TENANT_HOSTS } from '../platform/platform.js';
import { toSandboxStats } from './sandbox-stats.js';
import { inSandboxWords } from './sandbox-words.js';

/** What sandboxes take. */
@Injectable()
export class SandboxStatsService {
  constructor(
    @Inject(TENANT_HOSTS) private readonly hosts: TenantHosts,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws CodedError `not_found` */
  async once(caller: TenantCaller, ref: string, signal: AbortSignal): Promise<SandboxStats> {
    const { stats } = await this.begin(caller, ref, { once: true }, signal);
    for await (const one of stats) return one;
    throw new CodedError('unavailable', 'the node tells nothing');
  }

  /** Each second, until the sandbox stops or the signal. What is refused is refused before the first. @throws CodedError `not_found` */
  async follow(caller: TenantCaller, ref: string, signal: AbortSignal): Promise<AsyncIterable<SandboxStats>> {
    const { stats } = await this.begin(caller, ref, { once: false }, signal);
    return untilStopped(stats, signal);
  }

  private async begin({ tenant }: TenantCaller, ref: string, options: { readonly once: boolean }, signal: AbortSignal): Promise<{ readonly stats: AsyncIterable<SandboxStats> }> {
    const host = this.hosts.of(tenant);
    const { id } = await inSandboxWords(host.container(ref));
    return { stats: this.figures(host.containerStats(id, options, signal)) };
  }

  private async *figures(stats: ReturnType<ReturnType<TenantHosts['of']>['containerStats']>): AsyncGenerator<SandboxStats> {
    for await (const one of stats) yield toSandboxStats(one, this.clock.now());
  }
}

/** One line of zeros says that it does not run; then there is nothing more to tell. */
async function* untilStopped(stats: AsyncIterable<SandboxStats>, signal: AbortSignal): AsyncGenerator<SandboxStats> {
  try {
    for await (const one of stats) {
      yield one;
      if (!one.running) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
