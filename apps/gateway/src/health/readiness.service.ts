import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { Repositories } from '#persistence';
import { RuntimeCatalogue } from '../nodes/runtime-catalogue.service.js';
import { withinDeadline } from '../platform/deadline.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { REDIS, REPOSITORIES } from '../platform/platform.js';

const DEADLINE_MS = 2_000;

export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<'gateway' | 'postgres' | 'redis' | 'nodes', 'up' | 'down' | 'draining'>>;
}

/** Whether a run that comes now can be taken. */
@Injectable()
export class ReadinessService {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(REDIS) private readonly redis: Redis,
    private readonly catalogue: RuntimeCatalogue,
    private readonly lifecycle: Lifecycle,
  ) {}

  async check(): Promise<Readiness> {
    const [postgres, redis, nodes] = await Promise.all([
      succeeds(this.repositories.ping()),
      succeeds(this.redis.ping()),
      succeeds(this.catalogue.readyNodes(), (count) => count > 0),
    ]);
    const gateway = this.lifecycle.draining.aborted ? 'draining' : 'up';
    return { ready: gateway === 'up' && postgres === 'up' && redis === 'up' && nodes === 'up', checks: { gateway, postgres, redis, nodes } };
  }
}

async function succeeds<T>(work: Promise<T>, good: (value: T) => boolean = () => true): Promise<'up' | 'down'> {
  try {
    return good(await withinDeadline('a check', DEADLINE_MS, work)) ? 'up' : 'down';
  } catch {
    return 'down';
  }
}
