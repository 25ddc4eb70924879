import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DockerClient } from '../docker-client.ts';

/** Nobody else on the machine sleeps as long. */
const SLEEP = ['sleep', '1234567'];
const AT_ONCE = 4;
const SETTLE_MS = 3000;
/** A tenant may ask a hundred times a second. */
const REMOVED_AT_ONCE = 20;
const REST_MS = 500;

/**
 * What `count` idle containers take of the machine's memory, each: the fall of MemAvailable, file caches dropped before and after, without what their own
 * processes have of it (Pss).
 */
export async function idleBytes(client: DockerClient, { image, count }: { readonly image: string; readonly count: number }): Promise<{ readonly perContainer: number; readonly ownProcess: number }> {
  const before = await available();
  const ids: string[] = [];
  const start = async (): Promise<void> => {
    while (ids.length < count) {
      const slot = ids.push('') - 1;
      ids[slot] = await client(['run', '-d', image, ...SLEEP]);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, start));
    const taken = before - (await available());
    const own = ownBytes();
    return { perContainer: (taken - own) / count, ownProcess: own / count };
  } finally {
    const made = ids.filter((id) => id !== '');
    for (let at = 0; at < made.length; at += REMOVED_AT_ONCE) {
      await sleep(REST_MS);
      await client(['rm', '-f', ...made.slice(at, at + REMOVED_AT_ONCE)]);
    }
  }
}

async function available(): Promise<number> {
  await sleep(SETTLE_MS);
  writeFileSync('/proc/sys/vm/drop_caches', '3');
  return Number(/MemAvailable:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}

function ownBytes(): number {
  let bytes = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1') !== `${SLEEP.join('\0')}\0`) continue;
      bytes += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024;
    } catch {
      // It has just ended.
    }
  }
  return bytes;
}
