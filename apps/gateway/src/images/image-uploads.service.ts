import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { ProgressLine } from '#contracts';
import { CodedError, isErrorCode } from '#kernel';
import type { TenantCaller } from '../auth/caller.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import { loadedImagesSchema, type ImportedImage, type ImportImageQuery, type LoadedImages } from './image-requests.schema.js';

/** Archives that callers send: read by the node as they come, answered when all of it is an image. */
@Injectable()
export class ImageUploads {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  /** @throws CodedError of the node, in the last line of its progress */
  async load(caller: TenantCaller, archive: Readable, signal: AbortSignal): Promise<LoadedImages> {
    const last = await lastLine(this.hosts.of(caller.tenant).loadImages(archive, signal));
    const parsed = loadedImagesSchema.safeParse(last.aux);
    if (!parsed.success) throw new CodedError('unavailable', 'the node did not say what it has loaded');
    return parsed.data;
  }

  /** @throws CodedError of the node, in the last line of its progress */
  async import(caller: TenantCaller, tar: Readable, { name, message, change }: ImportImageQuery, signal: AbortSignal): Promise<ImportedImage> {
    const request = { changes: change, ...(name === undefined ? {} : { name }), ...(message === undefined ? {} : { message }) };
    const { aux } = await lastLine(this.hosts.of(caller.tenant).importImage(tar, request, signal));
    if (typeof aux?.['imageId'] !== 'string') throw new CodedError('unavailable', 'the node did not say what it has imported');
    return { id: aux['imageId'] };
  }
}

async function lastLine(lines: AsyncIterable<ProgressLine>): Promise<ProgressLine> {
  let last: ProgressLine | undefined;
  for await (const line of lines) last = line;
  if (last === undefined) throw new CodedError('unavailable', 'the node broke off');
  if (last.error !== undefined) throw new CodedError(isErrorCode(last.error.code) ? last.error.code : 'internal', last.error.message);
  return last;
}
