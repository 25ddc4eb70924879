import { execFile } from 'node:child_process';
import { access, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CodedError, errnoOf } from '#kernel';

/** Where Debian's packages come from. */
export interface DebianSources {
  readonly suite: string;
  /** One-line-style entries (sources.list(5)), with the mirrors that this machine uses. */
  readonly lines: readonly string[];
  /** The same for what stays in an image, where builds of tenants use and see it: Debian's public name in the place of a mirror with a password, or of one that only this machine reaches. */
  readonly imageLines: readonly string[];
}

const DEFAULT_SUITE = 'bookworm';
const DEFAULTS: Mirrors = { main: 'http://deb.debian.org/debian', security: 'http://deb.debian.org/debian-security' };
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const MIRROR = /^https?:\/\/[^\s'"[\]]+$/;

/** On Debian, the machine's own suite and mirrors; elsewhere, Debian's stable suite from its public mirror. @throws CodedError `failed_precondition` */
export async function findDebianSources(etc = '/etc', keyring = KEYRING): Promise<DebianSources> {
  try {
    await access(keyring);
  } catch (error) {
    throw new CodedError('failed_precondition', `${keyring} is missing: install the package debian-archive-keyring`, { package: 'debian-archive-keyring' }, { cause: error });
  }
  const release = parseOsRelease(await readOr(join(etc, 'os-release'), ''));
  const codename = release.get('VERSION_CODENAME') ?? '';
  if (release.get('ID') !== 'debian' || !/^[a-z]+$/.test(codename)) return sourcesOf(DEFAULT_SUITE, DEFAULTS);
  const entries = await readEntries(join(etc, 'apt'));
  const uriOf = (suite: string): string | undefined => entries.find((entry) => entry.suites.includes(suite) && entry.components.includes('main') && MIRROR.test(entry.uri))?.uri;
  return sourcesOf(codename, { main: uriOf(codename) ?? DEFAULTS.main, security: uriOf(`${codename}-security`) ?? DEFAULTS.security });
}

/** How this machine's apt reaches the network (proxies, retries, checks of dates), as lines of apt.conf(5). Those of checks hold for every image that is made of the same mirrors. */
export async function findAptNetworkOptions(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('apt-config', ['dump', '--no-empty', '--format', '%F "%v";%n', 'Acquire'], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } });
  return stdout.split('\n').filter((line) => /^Acquire::(https?::(?!.*auto-?detect)|Check-|Retries|ForceIPv)/i.test(line));
}

/** The proxies that this machine's apt uses, as the variables by which apt in a build finds them; without one that only this machine reaches. */
export function proxyVariables(aptOptions: readonly string[]): Map<string, string> {
  const proxies = new Map<string, string>();
  for (const option of aptOptions) {
    const [, scheme = '', value = ''] = /^Acquire::(https?)::Proxy "([^"]+)";$/i.exec(option) ?? [];
    const url = URL.parse(value);
    if (url !== null && /^https?:$/.test(url.protocol) && !isLoopback(url.hostname)) proxies.set(`${scheme.toLowerCase()}_proxy`, value);
  }
  return proxies;
}

interface Mirrors {
  readonly main: string;
  readonly security: string;
}

interface Entry {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

function sourcesOf(suite: string, mirrors: Mirrors): DebianSources {
  const lines = ({ main, security }: Mirrors): string[] => [`deb ${main} ${suite} main`, `deb ${main} ${suite}-updates main`, `deb ${security} ${suite}-security main`];
  return { suite, lines: lines(mirrors), imageLines: lines({ main: isForAll(mirrors.main) ? mirrors.main : DEFAULTS.main, security: isForAll(mirrors.security) ? mirrors.security : DEFAULTS.security }) };
}

function isForAll(mirror: string): boolean {
  const url = URL.parse(mirror);
  return url !== null && url.username === '' && url.password === '' && !isLoopback(url.hostname);
}

function isLoopback(hostname: string): boolean {
  return /^(?:localhost|127\..*|\[::1\])$/.test(hostname);
}

async function readEntries(apt: string): Promise<Entry[]> {
  const parts = join(apt, 'sources.list.d');
  const names = (await readdir(parts).catch(() => [])).sort();
  const oneLine = await Promise.all(['../sources.list', ...names.filter((name) => name.endsWith('.list'))].map((name) => readOr(join(parts, name), '')));
  const deb822 = await Promise.all(names.filter((name) => name.endsWith('.sources')).map((name) => readOr(join(parts, name), '')));
  return [...oneLine.flatMap(parseOneLine), ...deb822.flatMap(parseDeb822)];
}

function parseOneLine(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const [type, uri, suite, ...components] = line
      .replace(/#.*/, '')
      .replace(/\[[^\]]*\]/, ' ')
      .trim()
      .split(/\s+/);
    return type === 'deb' && uri !== undefined && suite !== undefined ? [{ uri, suites: [suite], components }] : [];
  });
}

function parseDeb822(text: string): Entry[] {
  return text.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const fields = new Map<string, string[]>();
    for (const line of stanza.replace(/^#.*\n?/gm, '').replace(/\n[ \t]+/g, ' ').split('\n')) {
      const [, key, value] = /^([A-Za-z-]+):(.*)$/.exec(line) ?? [];
      if (key !== undefined && value !== undefined) fields.set(key.toLowerCase(), value.trim().split(/\s+/));
    }
    if (!fields.get('types')?.includes('deb') || fields.get('enabled')?.[0] === 'no') return [];
    return (fields.get('uris') ?? []).map((uri) => ({ uri, suites: fields.get('suites') ?? [], components: fields.get('components') ?? [] }));
  });
}

function parseOsRelease(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^([A-Z_]+)="?([^"\n]*)"?$/gm)].map((match) => [match[1] ?? '', match[2] ?? '']));
}

async function readOr(path: string, fallback: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return fallback;
    throw error;
  }
}
