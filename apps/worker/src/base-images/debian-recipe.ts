import type { DebianSources } from './debian-sources.js';

/** To be raised when a change below must reach what is installed already: it names the image. */
export const RECIPE = 3;

export interface DebianRecipe {
  readonly sources: DebianSources;
  /** Lines of apt.conf(5) for the way to the mirrors. Those of checks stay in the image: its builds use the same mirrors. */
  readonly aptOptions: readonly string[];
}

/** Documentation and translations are not for sandboxes; licences stay. Of layers too: dpkg reads this in every build. */
const DPKG_OPTIONS = [
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
  'path-exclude=/usr/share/lintian/*',
  // What is half made is thrown away, so an fsync for each file buys nothing.
  'force-unsafe-io',
];

/** Layers get no archives and no indexes of apt's; lists are fetched again by the next `apt-get update`. */
const APT_IN_IMAGE = [
  'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };',
  'APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };',
  'Dir::Cache::pkgcache "";',
  'Dir::Cache::srcpkgcache "";',
  'Acquire::Languages "none";',
  'Acquire::Retries "3";',
];

/** mmdebstrap(1)'s arguments; the tar goes to stdout. Hooks get the root file system's directory as $1. */
export function mmdebstrapArguments({ sources, aptOptions }: DebianRecipe): string[] {
  return [
    '--mode=root',
    '--format=tar',
    '--variant=minbase',
    // Sandboxes get a /dev of their own: no device nodes in the layer.
    '--skip=output/dev,output/mknod',
    ...[...aptOptions, 'Apt::Install-Recommends "false";', 'Acquire::Languages "none";'].map((option) => `--aptopt=${option}`),
    ...DPKG_OPTIONS.map((option) => `--dpkgopt=${option}`),
    // Who is to fetch over TLS in a build must know whom to trust.
    ...(sources.imageLines.some((line) => line.includes('https://')) ? ['--include=ca-certificates'] : []),
    `--customize-hook=${tidyScript(sources, [...APT_IN_IMAGE, ...aptOptions.filter((option) => option.startsWith('Acquire::Check-'))])}`,
    sources.suite,
    '-',
    ...sources.lines,
  ];
}

/** Leaves the root file system the same for every hour. The folders of manual pages stay: packages with alternatives (a JDK) fail without them. */
function tidyScript(sources: DebianSources, aptLines: readonly string[]): string {
  return `set -e
rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/apt/apt.conf.d/99mmdebstrap"
: > "$1/etc/resolv.conf"
printf 'sandbox\\n' > "$1/etc/hostname"
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n' > "$1/etc/hosts"
rm -rf "$1/etc/apt/sources.list.d"
mkdir "$1/etc/apt/sources.list.d"
printf '%s\\n' ${sources.imageLines.map(quote).join(' ')} > "$1/etc/apt/sources.list"
printf '%s\\n' ${aptLines.map(quote).join(' ')} > "$1/etc/apt/apt.conf.d/50small-layers"
rm -f "$1"/var/cache/apt/*.bin
rm -f "$1"/etc/passwd- "$1"/etc/group- "$1"/etc/shadow- "$1"/etc/gshadow- "$1"/etc/subuid- "$1"/etc/subgid- "$1"/var/lib/dpkg/*-old "$1"/var/cache/debconf/*-old
find "$1/var/log" -type f -delete
mkdir -p "$1"/usr/share/man/man1 "$1"/usr/share/man/man2 "$1"/usr/share/man/man3 "$1"/usr/share/man/man4 "$1"/usr/share/man/man5 "$1"/usr/share/man/man6 "$1"/usr/share/man/man7 "$1"/usr/share/man/man8
`;
}

/** One word of a POSIX shell. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
