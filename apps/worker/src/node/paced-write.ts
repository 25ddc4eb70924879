import type { Writable } from 'node:stream';
import { CodedError } from '#kernel';

/** Resolves when there is room for more. False: the reader is gone, or took nothing for `stallMs` and was cut. */
export async function pacedWrite(target: Writable, chunk: string | Uint8Array, stallMs: number): Promise<boolean> {
  if (target.destroyed) return false;
  return target.write(chunk) || drained(target, stallMs);
}

/** As `pacedWrite`, of what has been written. */
export async function drained(target: Writable, stallMs: number): Promise<boolean> {
  if (target.destroyed) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const onDrain = (): void => {
    resolve(true);
  };
  const onClose = (): void => {
    resolve(false);
  };
  const timer = setTimeout(() => {
    target.destroy(new CodedError('deadline_exceeded', 'the reader takes nothing'));
  }, stallMs);
  target.once('drain', onDrain).once('close', onClose);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    target.off('drain', onDrain).off('close', onClose);
  }
}
