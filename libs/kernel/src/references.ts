import { CodedError } from './errors.js';
import { isDigest, type Digest } from './digest.js';

/**
 * An image's name in full, by the grammar of distribution's reference package: `host[:port]/path[:tag][@digest]`. What clients write may
 * leave parts out: `busybox` stands for `docker.io/library/busybox`.
 */
export interface ImageReference {
  /** `docker.io`, `127.0.0.1:5000` … */
  readonly domain: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

export const DEFAULT_DOMAIN = 'docker.io';
export const DEFAULT_TAG = 'latest';
const LEGACY_DOMAIN = 'index.docker.io';
const OFFICIAL = 'library/';
const MAX_NAME = 255;

const SEPARATOR = '(?:[._]|__|-+)';
const COMPONENT = `[a-z0-9]+(?:${SEPARATOR}[a-z0-9]+)*`;
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const TAG = /^\w[\w.-]{0,127}$/;
const HEX_ID = /^[a-f0-9]{64}$/;

/** @throws CodedError `invalid_argument`, in the words that Docker's clients know */
export function parseReference(text: string): ImageReference {
  if (HEX_ID.test(text)) throw invalid(text, `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const [named, digest] = cut(text, text.indexOf('@'));
  if (digest !== undefined && !isDigest(digest)) throw invalid(text);
  const { domain, rest } = splitDomain(named);
  const [bare, tag] = cut(rest, rest.indexOf(':', rest.lastIndexOf('/') + 1));
  if (bare.toLowerCase() !== bare) throw invalid(text, 'invalid reference format: repository name must be lowercase');
  const path = domain === DEFAULT_DOMAIN && !bare.includes('/') ? `${OFFICIAL}${bare}` : bare;
  if (bare === '' || !PATH.test(path) || !DOMAIN.test(domain) || (tag !== undefined && !TAG.test(tag))) throw invalid(text);
  if (domain.length + 1 + path.length > MAX_NAME) throw invalid(text, `invalid reference format: repository name must not be more than ${MAX_NAME} characters`);
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** The first part is a host when it has a dot or a port, is `localhost`, or has capitals, which no path may have. */
function splitDomain(named: string): { domain: string; rest: string } {
  const [first, rest] = cut(named, named.indexOf('/'));
  if (rest === undefined || !(/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)) return { domain: DEFAULT_DOMAIN, rest: named };
  return { domain: first === LEGACY_DOMAIN ? DEFAULT_DOMAIN : first, rest };
}

function cut(text: string, at: number): [string, string | undefined] {
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** With the tag `latest` when it names neither tag nor digest. */
export function withDefaultTag(reference: ImageReference): ImageReference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: DEFAULT_TAG } : reference;
}

/** `docker.io/library/busybox`: without tag and digest. */
export function repositoryOf({ domain, path }: ImageReference): string {
  return `${domain}/${path}`;
}

/** In full, as stores keep it: `docker.io/library/busybox:latest`, `…@sha256:…`. */
export function canonicalName(reference: ImageReference): string {
  return repositoryOf(reference) + suffix(reference);
}

/** As people write it: `busybox:latest`, `user/app@sha256:…`. */
export function familiarName(reference: ImageReference): string {
  return familiarRepository(reference) + suffix(reference);
}

export function familiarRepository({ domain, path }: ImageReference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  return path.startsWith(OFFICIAL) && !path.slice(OFFICIAL.length).includes('/') ? path.slice(OFFICIAL.length) : path;
}

function suffix({ tag, digest }: ImageReference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function invalid(text: string, message = 'invalid reference format'): CodedError {
  return new CodedError('invalid_argument', message, { reference: text.slice(0, 300) });
}
