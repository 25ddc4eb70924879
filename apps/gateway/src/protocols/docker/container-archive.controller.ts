import { Controller, Get, Head, HttpCode, Inject, Param, Put } from '@nestjs/common';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import type { HostFiles } from '../../nodes/host-files.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { badParameter } from './errors.js';
import { meansContents, PATH_STAT_HEADER, pathStat } from './path-stat.js';

const TAR = 'application/x-tar';

/** What `docker cp` is made of. */
@ApiExcludeController()
@Controller('docker/containers')
export class DockerContainerArchiveController {
  constructor(@Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends) {}

  @Head(':id/archive')
  @RequirePermission('host:read')
  async stat(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const stat = await this.files(call).stat(id, pathOf(call));
    void call.reply.header(PATH_STAT_HEADER, pathStat(stat));
  }

  @Get(':id/archive')
  @RequirePermission('host:read')
  async pack(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const path = pathOf(call);
    const { stat, bytes } = await this.files(call).pack(id, path, { contents: meansContents(path) }, call.signal);
    void call.reply.header(PATH_STAT_HEADER, pathStat(stat));
    await call.send(bytes as AsyncIterable<Buffer>, TAR);
  }

  /**
   * Owners: without `-a` the command line's files become root's, as its manual says. Other clients never send what only the command line's library
   * sends, and set the owners in the archive that they make: those are kept.
   */
  @Put(':id/archive')
  @HttpCode(200)
  @RequirePermission('host:write')
  async extract(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const { query } = call;
    const keepOwners = query.flag('copyUIDGID') || !query.has('noOverwriteDirNonDir');
    await this.files(call).extract(id, pathOf(call), call.stream(), { keepDirectories: query.flag('noOverwriteDirNonDir'), keepOwners }, call.signal);
  }

  private files(call: DockerCall): HostFiles {
    return this.backends.hosts.of(call.caller.tenant).files;
  }
}

/** Docker's are relative to the root, with a slash or without. */
function pathOf({ query }: DockerCall): string {
  const path = query.text('path');
  if (path === '') throw badParameter("bad parameter: 'path' cannot be empty");
  return path.startsWith('/') ? path : `/${path}`;
}
