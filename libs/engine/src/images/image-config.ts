import { CodedError, isDigest } from '#kernel';
import { isObject, MAX_LAYERS, parseObject, parseStrings } from './documents.js';
import type { HealthcheckConfig, ImageConfig, ImageHistoryEntry } from './images.js';

const MAX_HISTORY = 10_000;

/**
 * Reads an image config. Tolerant of what writers leave out or write as null; fields unknown here stay in the JSON, which is stored as
 * received (`parseObject` gives all of it).
 * @throws CodedError `invalid_argument`
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const value = parseObject(bytes);
  const { rootfs } = value;
  if (!isObject(rootfs)) throw bad('rootfs');
  const diffIds = rootfs.diff_ids ?? (rootfs.type === 'layers' ? [] : undefined);
  if (!Array.isArray(diffIds) || !diffIds.every(isDigest)) throw bad('rootfs.diff_ids');
  if (diffIds.length > MAX_LAYERS) throw new CodedError('invalid_argument', `max depth exceeded: an image has ${diffIds.length} layers, at most ${MAX_LAYERS} are allowed`);
  const variant = textOf(value, 'variant');
  const version = textOf(value, 'os.version');
  const created = textOf(value, 'created');
  const author = textOf(value, 'author');
  const history = historyOf(value.history);
  return {
    ...present({ created, author }),
    architecture: textOf(value, 'architecture') ?? '',
    ...present({ variant, 'os.version': version }),
    os: textOf(value, 'os') ?? 'linux',
    config: parseContainerConfig(value.config ?? {}),
    rootfs: { type: 'layers', diff_ids: diffIds },
    ...present({ history }),
  };
}

/** The `config` of an image config, or the same object from a client. @throws CodedError `invalid_argument` */
export function parseContainerConfig(value: unknown): ImageConfig['config'] {
  if (!isObject(value)) throw bad('config');
  return present({
    Hostname: textOf(value, 'Hostname'),
    Domainname: textOf(value, 'Domainname'),
    User: textOf(value, 'User'),
    ExposedPorts: keysOf(value, 'ExposedPorts'),
    Env: listOf(value, 'Env'),
    Cmd: listOf(value, 'Cmd'),
    Healthcheck: healthcheckOf(value.Healthcheck),
    ArgsEscaped: value.ArgsEscaped === true ? true : undefined,
    Volumes: keysOf(value, 'Volumes'),
    WorkingDir: textOf(value, 'WorkingDir'),
    Entrypoint: listOf(value, 'Entrypoint'),
    OnBuild: listOf(value, 'OnBuild'),
    Labels: parseStrings(value.Labels, 'the labels of an image config'),
    StopSignal: textOf(value, 'StopSignal'),
    StopTimeout: numberOf(value, 'StopTimeout'),
    Shell: listOf(value, 'Shell'),
  });
}

function healthcheckOf(value: unknown): HealthcheckConfig | undefined {
  if (value === null || value === undefined) return undefined;
  if (!isObject(value)) throw bad('Healthcheck');
  return present({
    Test: listOf(value, 'Test'),
    Interval: numberOf(value, 'Interval'),
    Timeout: numberOf(value, 'Timeout'),
    StartPeriod: numberOf(value, 'StartPeriod'),
    StartInterval: numberOf(value, 'StartInterval'),
    Retries: numberOf(value, 'Retries'),
  });
}

function historyOf(value: unknown): ImageHistoryEntry[] | undefined {
  if (value === null || value === undefined) return undefined;
  if (!Array.isArray(value) || value.length > MAX_HISTORY) throw bad('history');
  return value.map((entry: unknown) => {
    if (!isObject(entry)) throw bad('history');
    return present({
      created: textOf(entry, 'created'),
      created_by: textOf(entry, 'created_by'),
      author: textOf(entry, 'author'),
      comment: textOf(entry, 'comment'),
      empty_layer: entry.empty_layer === true ? true : undefined,
    });
  });
}

/** With an empty row for each layer that the history leaves out: the row of one more layer meets it. */
export function wholeHistory(config: Pick<ImageConfig, 'history' | 'rootfs'> | undefined): readonly ImageHistoryEntry[] {
  const rows = config?.history ?? [];
  const told = rows.filter(({ empty_layer: isEmpty }) => isEmpty !== true).length;
  return [...rows, ...Array.from({ length: Math.max(0, (config?.rootfs.diff_ids.length ?? 0) - told) }, () => ({}))];
}

function textOf(value: Record<string, unknown>, field: string): string | undefined {
  const text = value[field] ?? undefined;
  if (text !== undefined && typeof text !== 'string') throw bad(field);
  return text;
}

function numberOf(value: Record<string, unknown>, field: string): number | undefined {
  const number = value[field] ?? undefined;
  if (number !== undefined && typeof number !== 'number') throw bad(field);
  return number;
}

/** Docker also takes a single string for a list of words. */
function listOf(value: Record<string, unknown>, field: string): readonly string[] | undefined {
  const list = value[field] ?? undefined;
  if (list === undefined) return undefined;
  if (typeof list === 'string') return [list];
  if (!Array.isArray(list) || !list.every((word) => typeof word === 'string')) throw bad(field);
  return list;
}

/** A set, written as an object of empty objects. */
function keysOf(value: Record<string, unknown>, field: string): Readonly<Record<string, object>> | undefined {
  const set = value[field] ?? undefined;
  if (set === undefined) return undefined;
  if (!isObject(set)) throw bad(field);
  return Object.fromEntries(Object.keys(set).map((key) => [key, {}]));
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the fields that are undefined. */
function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Present<T>;
}

function bad(field: string): CodedError {
  return new CodedError('invalid_argument', `an image config is malformed: ${field}`, { field });
}
