import { constants, mkdir, open, readdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#kernel';
import type { FrameHead } from './log-frames.js';
import { segmentFrames } from './segment-frames.js';

const DIGITS = /^[0-9]{8}$/;

/** Where the files of a log lie. Logs that share a folder have prefixes of which none is the beginning of another. */
export interface LogPlace {
  readonly folder: string;
  readonly prefix: string;
}

/** What one file of a log holds, read to its last whole frame. */
export interface SegmentContent {
  readonly bytes: number;
  readonly last: FrameHead | undefined;
  /** The newest of its `started` frames. */
  readonly started: FrameHead | undefined;
}

function segmentPath({ folder, prefix }: LogPlace, segment: number): string {
  return join(folder, prefix + String(segment).padStart(8, '0'));
}

/** Numbers, ascending. */
export async function segmentsIn({ folder, prefix }: LogPlace): Promise<number[]> {
  try {
    const numbers = (await readdir(folder)).flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
    return numbers.filter((name) => DIGITS.test(name)).map(Number).sort((one, other) => one - other);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

export async function segmentBytes(place: LogPlace, segment: number): Promise<number> {
  return (await stat(segmentPath(place, segment))).size;
}

/** Idempotent. */
export async function removeSegment(place: LogPlace, segment: number): Promise<void> {
  try {
    await unlink(segmentPath(place, segment));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** For a reader; undefined when that segment is gone. The caller closes it. */
export async function openSegment(place: LogPlace, segment: number): Promise<FileHandle | undefined> {
  try {
    return await open(segmentPath(place, segment), 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function scanSegment(place: LogPlace, segment: number): Promise<SegmentContent> {
  const handle = await open(segmentPath(place, segment), 'r');
  try {
    const frames = segmentFrames(handle, 0, Number.MAX_SAFE_INTEGER, new AbortController().signal);
    let last: FrameHead | undefined;
    let started: FrameHead | undefined;
    for (let next = await frames.next(); ; next = await frames.next()) {
      if (next.done === true) return { bytes: next.value, last, started };
      last = next.value.head;
      if (last.type === 'started') started = last;
    }
  } finally {
    await handle.close();
  }
}

/** For the writer: what stands there stays. */
export async function createSegment(place: LogPlace, segment: number): Promise<FileHandle> {
  const path = segmentPath(place, segment);
  const flags = constants.O_RDWR | constants.O_CREAT;
  try {
    return await open(path, flags, 0o600);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await mkdir(place.folder, { recursive: true, mode: 0o700 });
    return open(path, flags, 0o600);
  }
}

export async function writeAll(handle: FileHandle, buffers: readonly Buffer[], position: number): Promise<void> {
  let [left, at] = [buffers, position];
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = behind(left, bytesWritten);
  }
}

function behind(buffers: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes;
  let index = 0;
  for (; index < buffers.length; index += 1) {
    const length = buffers[index]?.length ?? 0;
    if (length > skip) break;
    skip -= length;
  }
  const [first, ...rest] = buffers.slice(index);
  return first === undefined ? [] : [first.subarray(skip), ...rest];
}
