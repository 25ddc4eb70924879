import { CodedError } from '#kernel';

/** Where a repository is, and what of it is wanted. */
export interface GitAddress {
  /** http or https, without user, password, query and fragment. */
  readonly url: URL;
  /** Of the URL: `Basic …`. */
  readonly authorization: string | undefined;
  readonly ref: string | undefined;
  /** Clean, relative; '' the whole repository. */
  readonly subdir: string;
}

const REMOTE = /^(?:https?|git|ssh):\/\//i;
const SCP = /^[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:/;
const HTTP_REPOSITORY = /^https?:\/\/[^#?]+\.git(?:\/)?(?:#.*)?$/i;
/** git-check-ref-format(1), and nothing that could be taken for more than a name. */
const REF = /^(?!-)(?!.*(?:\.\.|@\{|\/\/|\.lock(?:\/|$)))[^\s~^:?*[\\\p{Cc}]{1,255}$/u;

/** Whether Docker takes a source of ADD, or a context, for a repository. */
export function isGitAddress(text: string): boolean {
  return /^(?:git|ssh):\/\//i.test(text) || SCP.test(text) || HTTP_REPOSITORY.test(text);
}

/** @throws CodedError `invalid_argument`, `unsupported` (a transport other than HTTP) */
export function parseGitAddress(text: string, asked: { readonly ref?: string; readonly subdir?: string } = {}): GitAddress {
  if (SCP.test(text) || /^ssh:/i.test(text)) throw new CodedError('unsupported', 'Git over SSH is not supported by this server: use an https address');
  if (/^git:/i.test(text)) throw new CodedError('unsupported', 'the git:// protocol is not supported by this server: use an https address');
  if (!REMOTE.test(text) || !URL.canParse(text)) throw new CodedError('invalid_argument', `invalid Git address: ${JSON.stringify(text.slice(0, 200))}`);
  const url = new URL(text);
  const [, ref = '', folder = ''] = /^([^:]*):?(.*)$/s.exec(decoded(url.hash.slice(1))) ?? [];
  const authorization = url.username === '' && url.password === '' ? undefined : `Basic ${Buffer.from(`${decoded(url.username)}:${decoded(url.password)}`).toString('base64')}`;
  url.username = '';
  url.password = '';
  url.hash = '';
  url.search = '';
  const wanted = asked.ref ?? (ref === '' ? undefined : ref);
  if (wanted !== undefined && !REF.test(wanted)) throw new CodedError('invalid_argument', `invalid Git ref: ${JSON.stringify(wanted.slice(0, 200))}`);
  return { url, authorization, ref: wanted, subdir: cleanFolder(asked.subdir ?? folder) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function cleanFolder(text: string): string {
  const names = text.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..') || text.includes('\0')) throw new CodedError('invalid_argument', `the folder ${JSON.stringify(text.slice(0, 200))} leaves the repository`);
  return names.join('/');
}
