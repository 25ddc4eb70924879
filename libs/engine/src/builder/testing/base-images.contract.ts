import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseReference, type TenantId } from '#kernel';
import type { ContainerHost } from '../../containers/testing/container-host.js';
import { FsContentStore } from '../../content/index.js';
import { TarImageArchives } from '../../images/index.js';
import { writeTar, type TarEntryInput } from '../../tar/index.js';
import type { Buildah } from './buildah.js';

const SECOND_NS = 1_000_000_000;

/** cap_net_raw=ep as the kernel keeps it: revision 2, effective; its bytes are no UTF-8 (capabilities(7), linux/capability.h). */
const NET_RAW = Buffer.from('010000020020000000000000' + '0000000000000000', 'hex');

/** What a container has mounted has its place in images, as those of registries do. */
const PLACES = 'mkdir -p dev proc sys run; chmod 1777 tmp; for name in hosts hostname resolv.conf; do : > etc/$name; done\n';

const MERGED = `mkdir -p usr/sbin usr/lib var/lib
mv bin usr/bin
ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib
ln -s ../run var/run; ln -s /run/lock var/lock`;

/** Everything that a config can say. */
const SERVICE = {
  Env: ['PATH=/bin', 'SERVICE=yes'],
  Entrypoint: ['/bin/sh', '-c'],
  Cmd: ['echo service'],
  WorkingDir: '/srv',
  User: 'app',
  Labels: { service: 'yes' },
  Volumes: { '/data': {} },
  ExposedPorts: { '8080/tcp': {} },
  StopSignal: 'SIGINT',
  Healthcheck: { Test: ['CMD', 'true'], Interval: 7 * SECOND_NS },
};

/** Makes the images that the cases stand on for a tenant, and gives each to buildah as `docker save` writes it. */
export async function makeBaseImages(host: ContainerHost, tenant: TenantId, buildah: Buildah): Promise<void> {
  const paths = { Env: ['PATH=/bin'] };
  await host.importImage(tenant, 'busybox', PLACES, { ...paths, Cmd: ['sh'] });
  await host.importImage(tenant, 'merged', PLACES + MERGED, { ...paths, Cmd: ['sh'] });
  await host.importImage(tenant, 'bare', 'rm -r home', { ...paths, Cmd: ['sh'] });
  await host.importImage(tenant, 'service', PLACES + 'mkdir -p data/sub srv; echo kept > data/sub/kept; chown -R 1000:1000 data; chmod 770 data; echo hello > etc/motd', SERVICE);
  await host.importImage(tenant, 'triggers', PLACES, { ...paths, OnBuild: ['COPY . /src', 'RUN ls /src > /listing', 'ENV TRIGGERED=yes', 'WORKDIR /triggered'] });
  await host.images.importTar(tenant, { tar: writeTar(withAttributes()), name: parseReference('capable'), changes: [] });
  const archives = new TarImageArchives({ content: await FsContentStore.open(join(host.base, 'content')), images: host.images });
  for (const name of ['busybox', 'merged', 'bare', 'service', 'triggers', 'capable']) {
    const archive = join(host.base, `${name}.tar`);
    await pipeline(archives.save(tenant, [name]), createWriteStream(archive));
    await buildah.load(archive, name);
  }
}

function* withAttributes(): Generator<TarEntryInput, void, undefined> {
  const common = { uid: 0, gid: 0, mtimeNs: 0n };
  const content = Buffer.from('a tool\n');
  yield { ...common, path: 'bin/', type: 'directory', mode: 0o755, xattrs: new Map([['user.of', Buffer.from('directory')]]) };
  yield { ...common, path: 'bin/tool', type: 'file', mode: 0o755, size: content.length, content: [content], xattrs: new Map([['security.capability', NET_RAW], ['user.of', Buffer.from([0, 255, 10])]]) };
}
