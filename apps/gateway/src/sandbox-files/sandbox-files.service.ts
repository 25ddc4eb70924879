import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { FileEventView, FileStatView, MakeDirectoryBody, MoveFileBody } from '#contracts';
import type { TenantCaller } from '../auth/caller.js';
import type { FileBytes, HostFiles } from '../nodes/host-files.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import type { ByteRange } from './byte-range.js';
import type { ArchiveQuery, FileQuery, FileView, PutArchiveQuery, PutContentQuery, RemoveFileQuery } from './file-requests.schema.js';

/** Files of a tenant's sandboxes, running or not, on its virtual host. */
@Injectable()
export class SandboxFilesService {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  async get(caller: TenantCaller, id: string, { path, entries }: FileQuery): Promise<FileView> {
    const files = this.files(caller);
    const stat = await files.stat(id, path);
    return { ...stat, entries: entries && stat.kind === 'directory' ? await files.list(id, path) : null };
  }

  makeDirectory(caller: TenantCaller, id: string, request: MakeDirectoryBody): Promise<void> {
    return this.files(caller).makeDirectory(id, request);
  }

  move(caller: TenantCaller, id: string, request: MoveFileBody): Promise<void> {
    return this.files(caller).move(id, request);
  }

  remove(caller: TenantCaller, id: string, { path, recursive }: RemoveFileQuery): Promise<void> {
    return this.files(caller).remove(id, path, { recursive });
  }

  read(caller: TenantCaller, id: string, path: string, range: ByteRange, signal: AbortSignal): Promise<FileBytes> {
    return this.files(caller).read(id, path, range, signal);
  }

  write(caller: TenantCaller, id: string, { path, ...options }: PutContentQuery, content: Readable, signal: AbortSignal): Promise<FileStatView> {
    return this.files(caller).write(id, path, content, options, signal);
  }

  pack(caller: TenantCaller, id: string, { path, contents }: ArchiveQuery, signal: AbortSignal): Promise<FileBytes> {
    return this.files(caller).pack(id, path, { contents }, signal);
  }

  extract(caller: TenantCaller, id: string, { path, owners }: PutArchiveQuery, tar: Readable, signal: AbortSignal): Promise<void> {
    return this.files(caller).extract(id, path, tar, { keepDirectories: true, keepOwners: owners === 'archive' }, signal);
  }

  watch(caller: TenantCaller, id: string, path: string, recursive: boolean, signal: AbortSignal): AsyncIterable<FileEventView> {
    return this.files(caller).watch(id, path, { recursive }, signal);
  }

  private files(caller: TenantCaller): HostFiles {
    return this.hosts.of(caller.tenant).files;
  }
}
