import { constants, mkdir, open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#kernel';
import type { FrameHead } from './log-frames.js';
import { segmentFrames } from './segment-frames.js';

const SEGMENT = /^[0-9]{8}$/;

/** What one file of a log holds, read to its last whole frame. */
export interface SegmentContent {
  readonly bytes: number;
  readonly last: FrameHead | undefined;
  /** The newest of its `started` frames. */
  readonly started: FrameHead | undefined;
}

function segmentPath(folder: string, segment: number): string {
  return join(folder, String(segment).padStart(8, '0'));
}

/** Numbers, ascending. */
export async function segmentsIn(folder: string): Promise<number[]> {
  try {
    return (await readdir(folder)).filter((name) => SEGMENT.test(name)).map(Number).sort((one, other) => one - other);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

export async function segmentBytes(folder: string, segment: number): Promise<number> {
  return (await stat(segmentPath(folder, segment))).size;
}

export async function removeSegment(folder: string, segment: number): Promise<void> {
  await rm(segmentPath(folder, segment), { force: true });
}

/** For a reader; undefined when that segment is gone. The caller closes it. */
export async function openSegment(folder: string, segment: number): Promise<FileHandle | undefined> {
  try {
    return await open(segmentPath(folder, segment), 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function scanSegment(folder: string, segment: number): Promise<SegmentContent> {
  const handle = await open(segmentPath(folder, segment), 'r');
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
export async function createSegment(folder: string, segment: number): Promise<FileHandle> {
  const path = segmentPath(folder, segment);
  const flags = constants.O_RDWR | constants.O_CREAT;
  try {
    return await open(path, flags, 0o600);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await mkdir(folder, { recursive: true, mode: 0o700 });
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
