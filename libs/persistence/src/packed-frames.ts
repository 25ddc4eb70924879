import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** The frames of a log as a column holds them: gzip of a JSON array. */
export async function packFrames(frames: readonly object[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await compress(JSON.stringify(frames), { level: 3 }));
}

export async function unpackFrames<F>(column: Uint8Array): Promise<F[]> {
  return JSON.parse((await decompress(column)).toString('utf8')) as F[];
}
