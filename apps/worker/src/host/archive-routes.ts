import { CodedError, parseReference, withDefaultTag } from '#kernel';
import { RpcBytes, RpcLines } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { hostRoute, type HostCall } from './host-route.js';
import type { HostServices } from './host-services.js';
import { progressOf } from './progress-queue.js';

const TAR = { type: 'application/x-tar' };
const SHORT = { from: 'sha256:'.length, to: 'sha256:'.length + 12 };

/** Images as tar archives, streamed both ways. */
export function archiveRoutes({ archives, images, fetchUrl }: HostServices): RpcRoute[] {
  /** The body, or what is behind `url`. */
  const sourceOf = (call: HostCall): AsyncIterable<Uint8Array> => {
    const url = call.query.get('url');
    if (url === null) return call.body();
    if (fetchUrl === undefined) throw new CodedError('unsupported', 'importing from an URL is not supported');
    return fetchUrl(url, call.signal);
  };
  return [
    hostRoute('GET', '/images/archive', (call) => {
      const names = call.query.getAll('name');
      if (names.length === 0) throw new CodedError('invalid_argument', 'name: is missing');
      return Promise.resolve(new RpcBytes(archives.save(call.tenantId, names), TAR));
    }),
    hostRoute('POST', '/images/load', (call) => {
      const lines = progressOf(async (say) => {
        const loaded = await archives.load(call.tenantId, call.body(), ({ layer, current, total }) => {
          say({ id: layer.slice(SHORT.from, SHORT.to), status: 'Loading layer', current, ...(total === undefined ? {} : { total }) });
        });
        return { aux: { images: loaded.map(({ id, tags }) => ({ id, tags: [...tags] })) } };
      });
      return Promise.resolve(new RpcLines(lines));
    }),
    hostRoute('POST', '/images/import', (call) => {
      const { query } = call;
      const [name, message, platform] = [query.get('name'), query.get('message'), query.get('platform')];
      const reference = name === null || name === '' ? undefined : withDefaultTag(parseReference(name));
      const architecture = architectureOf(platform);
      const tar = sourceOf(call);
      const lines = progressOf(async () => {
        const image = await images.importTar(call.tenantId, {
          tar,
          changes: query.getAll('change'),
          ...(reference === undefined ? {} : { name: reference }),
          ...(message === null ? {} : { message }),
          ...(architecture === undefined ? {} : { architecture }),
        });
        return { status: image.id, aux: { imageId: image.id } };
      });
      return Promise.resolve(new RpcLines(lines));
    }),
  ];
}

/** `linux/arm64`, `linux/arm/v7`, `arm64`. */
function architectureOf(platform: string | null): string | undefined {
  if (platform === null || platform === '') return undefined;
  const [os, architecture] = platform.includes('/') ? platform.split('/') : ['linux', platform];
  if (os !== 'linux' || architecture === undefined || !/^[a-z0-9_]{1,32}$/.test(architecture)) {
    throw new CodedError('invalid_argument', `"${platform.slice(0, 100)}": unknown operating system or architecture: invalid argument`);
  }
  return architecture;
}
