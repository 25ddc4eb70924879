import type { FileHandle } from 'node:fs/promises';
import { CodedError, asError, errnoOf } from '#kernel';

/** write(2) may take less than it is given. @throws CodedError `resource_exhausted` when the disk is full */
export async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  let offset = 0;
  while (offset < chunk.byteLength) {
    try {
      const { bytesWritten } = await file.write(chunk, offset, chunk.byteLength - offset, position + offset);
      offset += bytesWritten;
    } catch (error) {
      throw diskError(error);
    }
  }
}

/** Blocks are taken as late as the bytes are flushed: fsync(2) tells of a full disk too. @throws CodedError `resource_exhausted` */
export async function syncFile(file: FileHandle): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    throw diskError(error);
  }
}

export function diskError(error: unknown): Error {
  const errno = errnoOf(error);
  return errno === 'ENOSPC' || errno === 'EDQUOT' ? new CodedError('resource_exhausted', 'no space left on device', {}, { cause: error }) : asError(error);
}
