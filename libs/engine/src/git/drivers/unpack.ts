import { setImmediate } from 'node:timers/promises';
import { CodedError } from '#kernel';
import { deltaHead, deltaParts, type DeltaHead } from './pack-delta.js';
import type { GitObject, GitObjects } from './git-objects.js';
import { SMALL_BYTES, type PackEntry, type PackReader } from './pack-reader.js';

/** Instructions of one delta: what is larger is nobody's source text. */
const MAX_DELTA_BYTES = 64 * 1024 * 1024;
/** Bytes and objects after which others get their turn. */
const TURN = { bytes: 2 * 1024 * 1024, objects: 256 };

/** Puts every object of a pack among the objects: each is made once, from a base that is there already. @throws CodedError `protocol_violation`, `resource_exhausted`, `cancelled` */
export async function unpack(pack: PackReader, objects: GitObjects, signal: AbortSignal): Promise<void> {
  await new Unpacking(pack, objects, signal).run();
}

class Unpacking {
  private readonly byOffset = new Map<number, GitObject>();
  /** Deltas by the base that they wait for, its place or its name. */
  private readonly waiting = new Map<number | string, PackEntry[]>();
  /** Deltas whose base has come. */
  private readonly ready: PackEntry[] = [];
  private turn = { bytes: 0, objects: 0 };

  constructor(
    private readonly pack: PackReader,
    private readonly objects: GitObjects,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    let at = this.pack.start;
    for (let left = this.pack.count; left > 0; left -= 1) at = await this.take(await this.pack.entryAt(at));
    // Each entry is read twice at most, in whatever order the bases come.
    for (let entry = this.ready.pop(); entry !== undefined; entry = this.ready.pop()) await this.take(entry);
    if (this.waiting.size > 0) throw new CodedError('protocol_violation', 'the pack of the Git server has a delta without its base');
  }

  /** Where the next entry begins. */
  private async take(entry: PackEntry): Promise<number> {
    await this.pause(entry.size);
    if (entry.base !== undefined) return this.takeDelta(entry);
    const { type, size } = entry;
    if (type === 'offset-delta' || type === 'named-delta') throw new CodedError('internal', 'a delta has no base');
    if (size <= SMALL_BYTES) {
      const { bytes, end } = await this.pack.small(entry);
      await this.put(entry, type, size, [bytes]);
      return end;
    }
    let end = entry.dataAt;
    await this.put(entry, type, size, this.pack.large(entry, (at) => {
      end = at;
    }));
    return end;
  }

  private async takeDelta(entry: PackEntry): Promise<number> {
    const key = entry.base ?? 0;
    const { bytes: delta, end } = await this.deltaOf(entry);
    const base = typeof key === 'string' ? this.objects.find(key) : this.byOffset.get(key);
    if (base === undefined) {
      const others = this.waiting.get(key);
      if (others === undefined) this.waiting.set(key, [entry]);
      else others.push(entry);
      return end;
    }
    const head = deltaHead(delta);
    if (head.baseSize !== base.size || delta.length !== entry.size) throw new CodedError('protocol_violation', 'a delta of the pack is for another base');
    await this.pause(head.size);
    await this.put(entry, base.type, head.size, this.applied(base, delta, head));
    return end;
  }

  private async put(entry: PackEntry, type: GitObject['type'], size: number, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const { hash, object } = await this.objects.add(type, size, pieces);
    this.byOffset.set(entry.at, object);
    for (const key of [entry.at, hash]) {
      for (const each of this.waiting.get(key) ?? []) this.ready.push(each);
      this.waiting.delete(key);
    }
  }

  private async deltaOf(entry: PackEntry): Promise<{ readonly bytes: Buffer; readonly end: number }> {
    if (entry.size > MAX_DELTA_BYTES) throw new CodedError('resource_exhausted', `a delta of the pack is larger than ${MAX_DELTA_BYTES} bytes`);
    if (entry.size <= SMALL_BYTES) return this.pack.small(entry);
    const pieces: Buffer[] = [];
    let [length, end] = [0, entry.dataAt];
    for await (const piece of this.pack.large(entry, (at) => {
      end = at;
    })) {
      if ((length += piece.length) > entry.size) break;
      pieces.push(piece);
    }
    return { bytes: Buffer.concat(pieces), end };
  }

  private async *applied(base: GitObject, delta: Buffer, head: DeltaHead): AsyncGenerator<Buffer, void, undefined> {
    const whole = base.size <= SMALL_BYTES ? await this.objects.whole(base) : undefined;
    for (const part of deltaParts(delta, head)) {
      if (part.kind === 'insert') yield part.bytes;
      else if (whole !== undefined) yield whole.subarray(part.offset, part.offset + part.length);
      else yield* this.objects.bytes(base, part.offset, part.length);
    }
  }

  private async pause(bytes: number): Promise<void> {
    if (this.signal.aborted) throw new CodedError('cancelled', 'context canceled');
    this.turn.bytes += bytes;
    this.turn.objects += 1;
    if (this.turn.bytes < TURN.bytes && this.turn.objects < TURN.objects) return;
    this.turn = { bytes: 0, objects: 0 };
    await setImmediate();
  }
}
