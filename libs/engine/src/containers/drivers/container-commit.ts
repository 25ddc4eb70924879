import { CodedError, parseReference, type Digest, type ImageReference } from '#kernel';
import { applyChanges, type ImageConfig } from '../../images/index.js';
import type { WritableLayer } from '../../snapshots/index.js';
import { readTar, withoutBareRoot, writeTar, type TarEntryInput } from '../../tar/index.js';
import type { CommitContainer, CommittedImage } from '../containers.js';
import { hostnameOf, type ContainerRecord } from './container-record.js';
import type { TenantContainersOptions } from './container-services.js';

type Config = ImageConfig['config'];

/** A new image of a container's changes: one layer, at the cost of what was changed. @throws CodedError `invalid_argument` */
export async function commitContainer(
  services: Pick<TenantContainersOptions, 'images' | 'snapshots'>,
  record: ContainerRecord,
  layer: WritableLayer,
  request: CommitContainer,
): Promise<{ readonly imageId: Digest; readonly reference: ImageReference | undefined }> {
  const config = applyChanges(overlaid(configOf(record), request.config ?? {}), request.changes);
  const reference = request.name === undefined || request.name === '' ? undefined : nameOf(request.name);
  const image = await services.images.append(record.tenantId, {
    base: record.imageId,
    layer: services.snapshots.packChanges(layer),
    config,
    createdBy: [record.path, ...record.args].join(' '),
    ...(reference === undefined ? {} : { name: reference }),
    ...(request.author === undefined ? {} : { author: request.author }),
    ...(request.comment === undefined ? {} : { comment: request.comment }),
    extra: { container: record.id, container_config: { Hostname: hostnameOf(record), ...configOf(record) } },
  });
  return { imageId: image.id, reference };
}

/** A step of a build: the builder says all but the layer. */
export async function commitLayer(services: Pick<TenantContainersOptions, 'images' | 'snapshots'>, record: ContainerRecord, layer: WritableLayer, { without, withoutLinksInto, ...image }: CommittedImage): Promise<Digest> {
  const changes = services.snapshots.packChanges(layer);
  const { id } = await services.images.append(record.tenantId, { base: record.imageId, layer: without.length === 0 ? changes : writeTar(withoutBareRoot(entriesWithout(changes, new Set(without), withoutLinksInto))), ...image });
  return id;
}

/** A directory comes before what is in it: one that is to be left out waits until something is, or something else comes. */
async function* entriesWithout(tar: AsyncIterable<Buffer>, without: ReadonlySet<string>, links: string | undefined): AsyncGenerator<TarEntryInput, void, undefined> {
  let held: TarEntryInput[] = [];
  for await (const entry of readTar(tar)) {
    const { type, size, content, linkname, ...common } = entry;
    held = held.filter(({ path }) => entry.path.startsWith(path));
    if (without.has(`/${entry.path.replace(/\/$/, '')}`)) {
      if (type === 'directory') held.push({ ...common, type });
      continue;
    }
    if (type === 'symlink' && links !== undefined && linkname.startsWith(`${links}/`)) continue;
    yield* held;
    held = [];
    yield type === 'file' ? { ...common, type, size, content } : { ...common, type, linkname };
  }
}

function nameOf(text: string): ImageReference {
  const reference = parseReference(text);
  if (reference.digest !== undefined) throw new CodedError('invalid_argument', 'refusing to create a tag with a digest reference');
  return { ...reference, tag: reference.tag ?? 'latest' };
}

/** What a container of the new image is to have, unless the client says otherwise: what this one has. */
export function configOf({ effective, imageConfig, stopSignal }: Pick<ContainerRecord, 'effective' | 'imageConfig' | 'stopSignal'>): Config {
  const { env, cmd, entrypoint, workingDir, user, labels, volumes, exposedPorts } = effective;
  // Triggers are for builds on top of their own image alone.
  const config: Record<string, unknown> = { ...imageConfig, Env: env, Labels: labels };
  Reflect.deleteProperty(config, 'OnBuild');
  setOrDelete(config, 'Cmd', cmd);
  setOrDelete(config, 'Entrypoint', entrypoint);
  setOrDelete(config, 'WorkingDir', workingDir === '/' && imageConfig.WorkingDir === undefined ? null : workingDir);
  setOrDelete(config, 'User', user === '' ? null : user);
  setOrDelete(config, 'Volumes', keyed(volumes));
  setOrDelete(config, 'ExposedPorts', keyed(exposedPorts));
  setOrDelete(config, 'StopSignal', stopSignal);
  return config;
}

const MAPS = ['Labels', 'Volumes', 'ExposedPorts'] as const;
const OTHERS = ['Cmd', 'Entrypoint', 'User', 'WorkingDir', 'StopSignal', 'StopTimeout', 'Shell', 'Healthcheck', 'OnBuild'] as const;

/** Docker's merge of the config in a commit's body: lists and texts replace, maps and the environment are added to. */
function overlaid(config: Config, body: Readonly<Record<string, unknown>>): Config {
  const result: Record<string, unknown> = { ...config };
  for (const key of OTHERS) if (!isEmpty(body[key])) result[key] = body[key];
  // An entrypoint of its own drops the command that was meant for another.
  if (!isEmpty(body.Entrypoint) && isEmpty(body.Cmd)) delete result.Cmd;
  for (const key of MAPS) if (!isEmpty(body[key])) result[key] = { ...(result[key] as object | undefined), ...(body[key] as object) };
  if (Array.isArray(body.Env)) {
    const env = body.Env.filter((entry): entry is string => typeof entry === 'string');
    const named = new Set(env.map((entry) => entry.split('=', 1)[0]));
    result.Env = [...env, ...(config.Env ?? []).filter((entry) => !named.has(entry.split('=', 1)[0]))];
  }
  return result;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function keyed(names: readonly string[]): Record<string, object> | null {
  return names.length === 0 ? null : Object.fromEntries(names.map((name) => [name, {}]));
}

function setOrDelete(config: Record<string, unknown>, key: string, value: unknown): void {
  if (value === null || value === undefined) Reflect.deleteProperty(config, key);
  else config[key] = value;
}
