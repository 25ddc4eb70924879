import { PassThrough } from 'node:stream';
import { CodedError, asError } from '#kernel';

/** Readers that work in turns, each on a core of its own, wait for one another less the more they may have before them. */
const BUFFER_BYTES = 512 * 1024;

/**
 * Gives one source to several readers at once, at the pace of the slowest: no more than a stream's buffers are held for each. All read
 * to the end or none: when the source or a reader fails, the others' streams fail too, and so does `pumped`.
 */
export function tee(source: AsyncIterable<Uint8Array>, count: number): { readonly branches: readonly AsyncIterable<Uint8Array>[]; readonly pumped: Promise<void> } {
  const branches = Array.from({ length: count }, () => {
    const branch = new PassThrough({ highWaterMark: BUFFER_BYTES });
    // A reader that has not begun to iterate must not turn a failing source into an uncaught error.
    branch.on('error', () => undefined);
    return branch;
  });
  return { branches, pumped: pump(source, branches) };
}

async function pump(source: AsyncIterable<Uint8Array>, branches: readonly PassThrough[]): Promise<void> {
  try {
    for await (const chunk of source) {
      await Promise.all(branches.map((branch) => write(branch, chunk)));
    }
    for (const branch of branches) branch.end();
  } catch (error) {
    for (const branch of branches) branch.destroy(asError(error));
    throw error;
  }
}

function write(branch: PassThrough, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = (): void => {
      reject(new CodedError('cancelled', 'a reader of the stream has left'));
    };
    if (branch.destroyed) {
      left();
      return;
    }
    if (branch.write(chunk)) {
      resolve();
      return;
    }
    branch.once('close', left);
    branch.once('drain', () => {
      branch.off('close', left);
      resolve();
    });
  });
}
