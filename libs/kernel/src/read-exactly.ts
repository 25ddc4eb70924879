import type { Readable } from 'node:stream';
import { CodedError } from './errors.js';

/**
 * So many bytes from the beginning of a stream; what is behind them stays in it. They are held in memory: the caller bounds them.
 * @throws CodedError `cancelled` (it ends before), `deadline_exceeded`
 */
export async function readExactly(source: Readable, bytes: number, limitMs: number): Promise<Buffer> {
  if (bytes === 0) return Buffer.alloc(0);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const cut = (): void => {
    reject(new CodedError('cancelled', 'the stream ends too early'));
  };
  const look = (): void => {
    // Asks for more than the stream would hold by itself, and takes nothing before all is there or nothing more comes.
    const read = source.read(bytes) as Buffer | null;
    if (read?.length === bytes) resolve(read);
    else if (read !== null) cut();
  };
  const timer = setTimeout(() => {
    reject(new CodedError('deadline_exceeded', 'the bytes take too long'));
  }, limitMs);
  // One listener for the whole time: each new one would be told at once of what is there already, and so for ever.
  source.on('readable', look).once('end', cut).once('close', cut).once('error', cut);
  try {
    if (source.destroyed || source.readableEnded) cut();
    else look();
    return await promise;
  } finally {
    clearTimeout(timer);
    source.off('readable', look).off('end', cut).off('close', cut).off('error', cut);
  }
}
