import { readFile } from 'node:fs/promises';
import { CodedError, errnoOf } from '#kernel';
import type { IdRange } from '../linux/index.js';

const FIRST_HOST_ID = 1_000_000;
export const RANGE_SIZE = 65_536;
/** (uid_t)-1 means "no change" to the kernel and is no id. */
const LAST_HOST_ID = 0xffff_fffe;
const SLOTS = Math.floor((LAST_HOST_ID - FIRST_HOST_ID + 1) / RANGE_SIZE);

/**
 * Hands out ranges of host ids, the lowest free one first. What is taken is written in the sandboxes' own state, so this is memory only:
 * claim what is found at start.
 */
export class IdRanges {
  readonly #taken = new Set<number>();
  readonly #reserved: readonly IdRange[];

  /** @param reserved ranges that belong to somebody else, such as those of /etc/subuid */
  constructor(reserved: readonly IdRange[] = []) {
    this.#reserved = reserved;
  }

  /** @throws CodedError `resource_exhausted` */
  take(): number {
    for (let slot = 0; slot < SLOTS; slot += 1) {
      if (this.#taken.has(slot) || this.#isReserved(slot)) continue;
      this.#taken.add(slot);
      return slot;
    }
    throw new CodedError('resource_exhausted', 'no uid range is left on this node', { slots: SLOTS });
  }

  /** Marks a slot found in a sandbox's state. @throws CodedError `conflict` when two sandboxes would share it */
  claim(slot: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS) throw new CodedError('invalid_argument', 'no such uid range', { slot });
    if (this.#taken.has(slot)) throw new CodedError('conflict', 'the uid range is taken', { slot });
    this.#taken.add(slot);
  }

  /** Only when no process of it is left. Idempotent. */
  release(slot: number): void {
    this.#taken.delete(slot);
  }

  rangeOf(slot: number): IdRange {
    return { hostStart: FIRST_HOST_ID + slot * RANGE_SIZE, size: RANGE_SIZE };
  }

  #isReserved(slot: number): boolean {
    const { hostStart, size } = this.rangeOf(slot);
    return this.#reserved.some((other) => hostStart < other.hostStart + other.size && other.hostStart < hostStart + size);
  }
}

/** The ranges of subuid(5) and subgid(5) files; a missing file has none. */
export async function readSubordinateRanges(files: readonly string[] = ['/etc/subuid', '/etc/subgid']): Promise<IdRange[]> {
  const texts = await Promise.all(
    files.map(async (file) => {
      try {
        return await readFile(file, 'utf8');
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return '';
        throw error;
      }
    }),
  );
  return texts
    .flatMap((text) => text.split('\n'))
    .map((line) => line.split(':'))
    .map(([, start, count]) => ({ hostStart: Number(start), size: Number(count) }))
    .filter(({ hostStart, size }) => Number.isInteger(hostStart) && Number.isInteger(size) && size > 0);
}
