import type { RunMount } from './instructions.js';
import { fault, type Place } from './place.js';
import { didYouMean } from './suggest.js';

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
/** Other spellings of a key. */
const ALIASES: Readonly<Record<string, string>> = { src: 'source', dst: 'target', destination: 'target', ro: 'readonly', rw: 'readwrite' };
const KEYS: Readonly<Record<RunMount['type'], readonly string[]>> = {
  bind: ['target', 'source', 'from', 'readonly', 'readwrite'],
  cache: ['id', 'target', 'readonly', 'readwrite', 'sharing', 'from', 'source', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'target', 'env', 'required', 'mode', 'uid', 'gid', 'source'],
  ssh: ['id', 'target', 'required', 'mode', 'uid', 'gid'],
};
const SIZE = /^(\d{1,15})([kmgt]?)(?:i?b)?$/i;

/** `type=cache,target=/root/.cache,…`. @throws CodedError `invalid_argument` */
export function parseRunMount(text: string, place: Place): RunMount {
  const values = fieldsOf(text, place);
  const type = TYPES.find((each) => each === (values.get('type') ?? 'bind').toLowerCase());
  if (type === undefined) throw fault(place, `unsupported mount type ${JSON.stringify(values.get('type') ?? '')}${didYouMean(values.get('type') ?? '', TYPES)}`);
  for (const key of values.keys()) if (key !== 'type' && !KEYS[type].includes(key)) throw fault(place, `unexpected key '${key.slice(0, 100)}' for mount type '${type}'${didYouMean(key, KEYS[type])}`);
  if ((type === 'bind' || type === 'cache' || type === 'tmpfs') && (values.get('target') ?? '') === '') throw fault(place, 'invalid mount: target is required');
  const toggle = (key: string): boolean | undefined => toggleOf(values, key, place);
  const readWrite = toggle('readwrite');
  return {
    type,
    target: values.get('target'),
    source: values.get('source'),
    from: values.get('from'),
    readOnly: toggle('readonly') ?? (readWrite === undefined ? undefined : !readWrite),
    id: values.get('id'),
    sharing: sharingOf(values.get('sharing'), place),
    required: toggle('required') ?? false,
    sizeBytes: sizeOf(values.get('size'), place),
    mode: numberOf(values, 'mode', 8, place),
    uid: numberOf(values, 'uid', 10, place),
    gid: numberOf(values, 'gid', 10, place),
    env: values.get('env'),
  };
}

/** Fields with commas between; one that holds a comma stands in double quotes. */
function fieldsOf(text: string, place: Place): Map<string, string> {
  const values = new Map<string, string>();
  for (const [, quoted, bare] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,]*))(?:,|$)/g)) {
    const field = quoted?.replaceAll('""', '"') ?? bare ?? '';
    if (field === '') continue;
    const mark = field.indexOf('=');
    const name = (mark < 0 ? field : field.slice(0, mark)).toLowerCase();
    const key = ALIASES[name] ?? name;
    if (mark < 0 && !['readonly', 'readwrite', 'required'].includes(key)) throw fault(place, `invalid field '${field.slice(0, 100)}' must be a key=value pair`);
    values.set(key, mark < 0 ? 'true' : field.slice(mark + 1));
  }
  return values;
}

function toggleOf(values: ReadonlyMap<string, string>, key: string, place: Place): boolean | undefined {
  const value = values.get(key)?.toLowerCase();
  if (value === undefined) return undefined;
  if (/^(?:1|t|true)$/.test(value)) return true;
  if (/^(?:0|f|false)$/.test(value)) return false;
  throw fault(place, `invalid value for ${key}: ${value.slice(0, 100)}`);
}

function sharingOf(text: string | undefined, place: Place): RunMount['sharing'] {
  const value = text?.toLowerCase() ?? 'shared';
  if (value !== 'shared' && value !== 'private' && value !== 'locked') throw fault(place, `unsupported sharing value ${JSON.stringify(value.slice(0, 100))}: shared, private or locked`);
  return value;
}

function sizeOf(text: string | undefined, place: Place): number | undefined {
  if (text === undefined) return undefined;
  const [, digits, unit = ''] = SIZE.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** (unit === '' ? 0 : 'kmgt'.indexOf(unit.toLowerCase()) + 1);
  if (!Number.isSafeInteger(bytes)) throw fault(place, `invalid value for size: ${text.slice(0, 100)}`);
  return bytes;
}

function numberOf(values: ReadonlyMap<string, string>, key: string, radix: 8 | 10, place: Place): number | undefined {
  const text = values.get(key);
  if (text === undefined) return undefined;
  const number = Number.parseInt(text, radix);
  if (!(radix === 8 ? /^0?[0-7]{1,4}$/ : /^\d{1,9}$/).test(text)) throw fault(place, `invalid value ${JSON.stringify(text.slice(0, 100))} for ${key}`);
  return number;
}
