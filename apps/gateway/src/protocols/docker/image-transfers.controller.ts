import { Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { canonicalName, parseReference } from '#kernel';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import { Lifecycle } from '../../platform/lifecycle.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { objectOf } from './image-views.js';
import { badParameter, unsupported } from './errors.js';
import { followOperation, importMessages, loadMessages, nameOf, platformOf, pullReference } from './image-transfers.js';
import { sendMessages } from './json-lines.js';
import { registryAuthOf } from './registry-auth.js';

/** What moves images: pull, push, load, import and commit. */
@ApiExcludeController()
@Controller('docker')
export class DockerImageTransfersController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Pull (`fromImage`) and import (`fromSrc`) are one route of Docker's. */
  @Post('images/create')
  @HttpCode(200)
  @RequirePermission('host:write')
  async create(@Docker() call: DockerCall): Promise<void> {
    const { query } = call;
    if (query.text('fromImage') === '') return this.import(call);
    const platform = platformOf(query.text('platform'));
    const auth = registryAuthOf(call.header('x-registry-auth'));
    const reference = pullReference(query.text('fromImage'), query.text('tag'));
    await sendMessages(call, followOperation({ call, operations: this.backends.operations, draining: this.lifecycle.draining }, 'pull', { reference, ...(platform === undefined ? {} : { platform }), ...(auth === undefined ? {} : { auth }) }));
  }

  @Post('images/:name/push')
  @HttpCode(200)
  @RequirePermission('host:write')
  async push(@Docker() call: DockerCall, @Param('name') name: string): Promise<void> {
    const tag = call.query.text('tag');
    const reference = parseReference(tag === '' ? name : `${name}:${tag}`);
    if (reference.tag === undefined) throw unsupported('pushing all tags of a repository (name one)');
    if (call.query.has('platform')) throw unsupported('pushing one platform of an image');
    const auth = registryAuthOf(call.header('x-registry-auth'));
    await sendMessages(call, followOperation({ call, operations: this.backends.operations, draining: this.lifecycle.draining }, 'push', { reference: canonicalName(reference), ...(auth === undefined ? {} : { auth }) }));
  }

  @Post('images/load')
  @HttpCode(200)
  @RequirePermission('host:write')
  async load(@Docker() call: DockerCall): Promise<void> {
    if (call.query.has('platform')) throw unsupported('loading one platform of an archive');
    const host = this.backends.hosts.of(call.caller.tenant);
    await sendMessages(call, loadMessages(host.loadImages(call.stream(), call.signal), call.query.flag('quiet', true)));
  }

  @Post('commit')
  @RequirePermission('host:write')
  async commit(@Docker() call: DockerCall): Promise<{ Id: string }> {
    const { query } = call;
    const name = nameOf(query.text('repo'), query.text('tag'));
    const config = objectOf(await call.json());
    const { imageId } = await this.backends.hosts.of(call.caller.tenant).commitContainer({
      container: query.text('container'),
      ...(name === undefined ? {} : { name }),
      ...(query.has('author') ? { author: query.text('author') } : {}),
      ...(query.has('comment') ? { comment: query.text('comment') } : {}),
      changes: changesOf(call),
      pause: query.flag('pause', true),
      ...(Object.keys(config).length === 0 ? {} : { config }),
    });
    return { Id: imageId };
  }

  private async import(call: DockerCall): Promise<void> {
    const { query } = call;
    const from = query.text('fromSrc');
    if (from === '') throw badParameter('neither fromImage nor fromSrc is given');
    const name = nameOf(query.text('repo'), query.text('tag'));
    const platform = query.optional('platform');
    const message = query.optional('message');
    platformOf(platform ?? '');
    const request = { changes: changesOf(call), ...(name === undefined ? {} : { name }), ...(message === undefined ? {} : { message }), ...(platform === undefined ? {} : { platform }) };
    const source = from === '-' ? call.stream() : { url: urlOf(from) };
    await sendMessages(call, importMessages(this.backends.hosts.of(call.caller.tenant).importImage(source, request, call.signal)));
  }
}

/** One instruction a line, in any number of members. */
function changesOf(call: DockerCall): string[] {
  return call.query.all('changes').flatMap((text) => text.split('\n')).map((line) => line.trim()).filter((line) => line !== '');
}

/** Docker takes a host name for http://. Whether the address may be asked is the node's to decide. */
function urlOf(text: string): string {
  const url = URL.parse(/^https?:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null) throw badParameter(`parse ${JSON.stringify(text.slice(0, 200))}: invalid URL`);
  return url.href;
}
