import type { Redis } from 'ioredis';

const EXTEND = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0`;
const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0`;

/**
 * At most one holder at a time, as long as its work takes less than the term. Not a fence: what the holder does must be harmless when
 * a second one does it too.
 */
export class Lease {
  constructor(
    private readonly redis: Redis,
    private readonly key: string,
    private readonly holder: string,
    private readonly termMs: number,
  ) {}

  /** Takes or extends it. False: another has it. */
  async hold(): Promise<boolean> {
    return (await this.redis.eval(EXTEND, 1, this.key, this.holder, this.termMs)) === 1;
  }

  async release(): Promise<void> {
    await this.redis.eval(RELEASE, 1, this.key, this.holder);
  }
}
