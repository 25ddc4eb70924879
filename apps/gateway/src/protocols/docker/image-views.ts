import type { ImageDetail, ImageHistory, ImageRemovals, ImageSummary } from '#contracts';
import { familiarName, parseReference } from '#kernel';
import { pick } from './docker-body.js';
import { rfc3339Nano, unixSeconds, ZERO_TIME } from './times.js';

const NONE = '<none>';

/** `busybox:latest` of `docker.io/library/busybox:latest`; what is no reference stays as it is. */
export function familiar(name: string): string {
  try {
    return familiarName(parseReference(name));
  } catch {
    return name;
  }
}

export interface ListedImage {
  readonly image: ImageSummary;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
}

export function toImageSummary({ image, tags, digests }: ListedImage, version: number, counted: { readonly containers: boolean }): object {
  const old = version < 43 && tags.length === 0 && digests.length === 0;
  return {
    Containers: counted.containers ? image.containers : -1,
    Created: unixSeconds(image.createdAt),
    Id: image.id,
    Labels: nullIfEmpty(image.labels),
    ParentId: image.parent ?? '',
    RepoDigests: old ? [`${NONE}@${NONE}`] : digests,
    RepoTags: old ? [`${NONE}:${NONE}`] : tags,
    SharedSize: image.sharedBytes ?? -1,
    Size: image.sizeBytes,
    ...(version < 44 ? { VirtualSize: image.sizeBytes } : {}),
  };
}

/** Of an image's config, and of a container's: every member that Docker's clients may look for. */
export const EMPTY_CONFIG = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
} as const;

const CONFIG_FIELDS = [...(Object.keys(EMPTY_CONFIG) as (keyof typeof EMPTY_CONFIG)[]), 'ExposedPorts', 'Healthcheck', 'ArgsEscaped', 'NetworkDisabled', 'StopSignal', 'StopTimeout', 'Shell'] as const;

export function toImageInspect(image: ImageDetail, version: number): object {
  const { config } = image;
  const text = (name: string): string => (typeof config[name] === 'string' ? config[name] : '');
  const history = (Array.isArray(config['history']) ? config['history'] : []) as { comment?: string }[];
  const layers = (config['rootfs'] as { diff_ids?: string[] } | undefined)?.diff_ids ?? [];
  return {
    Id: image.id,
    RepoTags: image.tags.map(familiar),
    RepoDigests: image.digests.map(familiar),
    Parent: image.parent ?? '',
    Comment: text('comment') === '' ? (history.at(-1)?.comment ?? '') : text('comment'),
    Created: text('created') === '' ? ZERO_TIME : text('created'),
    ...(version < 45 ? { Container: text('container'), ContainerConfig: { ...EMPTY_CONFIG, ...objectOf(config['container_config']) } } : {}),
    DockerVersion: text('docker_version'),
    Author: text('author'),
    Config: { ...EMPTY_CONFIG, ...pick(objectOf(config['config']), CONFIG_FIELDS) },
    Architecture: text('architecture'),
    ...(text('variant') === '' ? {} : { Variant: text('variant') }),
    Os: text('os'),
    ...(text('os.version') === '' ? {} : { OsVersion: text('os.version') }),
    Size: image.sizeBytes,
    ...(version < 44 ? { VirtualSize: image.sizeBytes } : {}),
    // The layers' folders are the node's, for nobody else to know.
    GraphDriver: { Data: {}, Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: layers },
    Metadata: { LastTagTime: rfc3339Nano(image.taggedAt) },
  };
}

export function toHistory(rows: ImageHistory): object[] {
  return rows.map((row) => ({
    Id: row.id ?? '<missing>',
    Created: unixSeconds(row.createdAt),
    CreatedBy: row.createdBy,
    Tags: row.tags.length === 0 ? null : row.tags.map(familiar),
    Size: row.sizeBytes,
    Comment: row.comment,
  }));
}

export function toDeletions(removals: ImageRemovals): object[] {
  return removals.map((removal) => (removal.kind === 'untagged' ? { Untagged: familiar(removal.name) } : { Deleted: removal.id }));
}

/** Go writes an empty map that nobody made as null, and its clients' users look for that. */
export function nullIfEmpty(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(record).length === 0 ? null : record;
}

export function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
