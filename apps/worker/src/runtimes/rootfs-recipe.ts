import { CodedError, digestHex, digestOf } from '#kernel';
import type { DebianSources } from './debian-sources.js';

/** To be raised when a change below must reach what is installed already. */
const RECIPE = 1;

/** Names the image of a package set: equal sets share one. */
export function rootfsImageName(suite: string, packages: readonly string[]): string {
  return `runtime/${digestHex(digestOf(JSON.stringify({ recipe: RECIPE, suite, packages }))).slice(0, 16)}`;
}

/** The packages in order, each once. */
export function packageSet(packages: readonly string[]): string[] {
  return [...new Set(packages)].sort();
}

export interface RootfsRecipe {
  readonly sources: DebianSources;
  /** Lines of apt.conf(5) that only the making needs. */
  readonly aptOptions: readonly string[];
  /** A directory that holds the minimal system, already made; undefined: make it. */
  readonly base: string | undefined;
  readonly packages: readonly string[];
  /** Without the user `runner` and its working folder: a Debian as others know it. */
  readonly plain?: boolean;
}

/** Documentation and translations are not for sandboxes; licences stay. */
const DPKG_OPTIONS = [
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
  'path-exclude=/usr/share/lintian/*',
  // A half-made root file system is thrown away, so an fsync for each file buys nothing.
  'force-unsafe-io',
];

/** mmdebstrap(1)'s arguments; the tar goes to stdout. Hooks get the root file system's directory as $1. */
export function mmdebstrapArguments({ sources, aptOptions, base, packages, plain = false }: RootfsRecipe): string[] {
  return [
    '--mode=root',
    '--format=tar',
    // Sandboxes get a /dev of their own: no device nodes in the layer.
    '--skip=output/dev,output/mknod',
    ...[...aptOptions, 'Apt::Install-Recommends "false";', 'Acquire::Languages "none";'].map((option) => `--aptopt=${option}`),
    ...DPKG_OPTIONS.map((option) => `--dpkgopt=${option}`),
    ...(packages.length > 0 ? [`--include=${packages.join(',')}`] : []),
    // On top of a finished base, apt adds only what is missing: nothing is fetched or unpacked twice.
    ...(base === undefined ? ['--variant=minbase'] : ['--variant=custom', `--setup-hook=${setupScript(base, sources)}`]),
    `--customize-hook=${plain ? WITHOUT_RUNNER : WITH_RUNNER}${tidyScript(sources)}`,
    base === undefined ? sources.suite : '',
    '-',
    ...sources.lines,
  ];
}

function setupScript(base: string, sources: DebianSources): string {
  return ['set -e', `cp --archive --reflink=auto -- ${quote(`${base}/.`)} "$1/"`, `printf '%s\\n' ${sources.lines.map(quote).join(' ')} > "$1/etc/apt/sources.list"`].join('\n');
}

/** The user that programs of runs are executed as. */
const WITH_RUNNER = `set -e
if ! grep -q '^runner:' "$1/etc/passwd"; then
  chroot "$1" groupadd --gid 1000 runner
  chroot "$1" useradd --uid 1000 --gid 1000 --home-dir /work --no-create-home --shell /bin/bash runner
fi
mkdir -p "$1/work"
chown 1000:1000 "$1/work"
chmod 0755 "$1/work"
`;

const WITHOUT_RUNNER = `set -e
if grep -q '^runner:' "$1/etc/passwd"; then chroot "$1" userdel runner; fi
rm -rf "$1/work"
`;

/** Leaves the root file system the same for every machine and every hour. */
function tidyScript(sources: DebianSources): string {
  return `rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/apt/apt.conf.d/99mmdebstrap"
: > "$1/etc/resolv.conf"
printf 'sandbox\\n' > "$1/etc/hostname"
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n' > "$1/etc/hosts"
rm -rf "$1/etc/apt/sources.list.d"
mkdir "$1/etc/apt/sources.list.d"
printf '%s\\n' ${sources.publicLines.map(quote).join(' ')} > "$1/etc/apt/sources.list"
rm -f "$1"/etc/passwd- "$1"/etc/group- "$1"/etc/shadow- "$1"/etc/gshadow- "$1"/etc/subuid- "$1"/etc/subgid- "$1"/var/lib/dpkg/*-old "$1"/var/cache/debconf/*-old
find "$1/var/log" -type f -delete
`;
}

/** One word of a POSIX shell. */
function quote(word: string): string {
  if (word.includes('\0')) throw new CodedError('invalid_argument', 'a path holds a NUL byte');
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
