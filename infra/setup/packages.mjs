import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { runProgram } from './run-program.mjs';

/**
 * What the product uses of Debian. `redis-tools` and not `redis-server`: it holds the same program (as redis-check-rdb), and
 * brings no system service that would start beside ours.
 */
export const PACKAGES = [
  { name: 'crun', programs: ['crun'], why: 'makes the walls of a sandbox' },
  { name: 'redis-tools', programs: ['redis-check-rdb'], why: 'queue and log streams' },
  { name: 'iproute2', programs: ['ip'], why: 'networks of sandboxes' },
  { name: 'nftables', programs: ['nft'], why: 'networks of sandboxes' },
  { name: 'mmdebstrap', programs: ['mmdebstrap'], why: 'makes the base image of Debian' },
  { name: 'busybox-static', programs: ['busybox'], why: 'small sandboxes and tests' },
  { name: 'debian-archive-keyring', files: ['/usr/share/keyrings/debian-archive-keyring.gpg'], why: 'verifies Debian packages' },
  { name: 'gcc', programs: ['gcc', 'cc'], why: 'compiles the guest agent' },
  { name: 'libc6-dev', files: ['/usr/include/stdlib.h'], why: 'compiles the guest agent' },
  { name: 'linux-libc-dev', files: ['/usr/include/linux/mount.h'], why: 'compiles the guest agent' },
  { name: 'util-linux', programs: ['unshare', 'setpriv', 'prlimit', 'fallocate'], why: 'starts the services without privileges; tenants’ disks' },
  { name: 'mount', programs: ['mount', 'umount', 'losetup'], why: 'starts the services without privileges; tenants’ disks' },
  { name: 'e2fsprogs', programs: ['mkfs.ext4', 'resize2fs'], why: 'tenants’ disks' },
  { name: 'passwd', programs: ['useradd'], why: 'makes the services’ users' },
  { name: 'xz-utils', programs: ['xz'], why: 'archives that builds unpack' },
  { name: 'bzip2', programs: ['bzip2'], why: 'archives that builds unpack' },
  { name: 'tar', programs: ['tar'], why: 'reads root file systems' },
];

/** What only the tests use. `services` are those that Debian starts with the package: tests start their own, so they are stopped. */
export const TEST_PACKAGES = [
  { name: 'docker-registry', programs: ['docker-registry'], services: ['docker-registry.service'], why: 'tests of pull and push' },
  { name: 'apache2-utils', programs: ['htpasswd'], why: 'logins of test registries' },
  { name: 'openssl', programs: ['openssl'], why: 'certificates of test registries' },
  { name: 'runc', programs: ['runc'], why: 'the second runtime' },
  { name: 'docker.io', programs: ['docker', 'dockerd'], services: ['docker.socket', 'docker.service', 'containerd.service'], why: 'Docker’s own client and archives' },
  { name: 'skopeo', programs: ['skopeo'], why: 'archives of other tools' },
  { name: 'umoci', programs: ['umoci'], why: 'archives of other tools' },
  { name: 'podman', programs: ['podman'], services: ['podman.socket', 'podman.service', 'podman-auto-update.timer', 'podman-restart.service'], why: 'archives of other tools' },
  { name: 'git', programs: ['git'], why: 'repositories that builds fetch, and a server for them' },
  { name: 'buildah', programs: ['buildah'], why: 'builds the same Dockerfiles' },
  { name: 'oci-image-tool', programs: ['oci-image-tool'], why: 'validates image layouts' },
];

const UNIT_FOLDERS = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system'];
const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export function findProgram(name) {
  return FOLDERS.map((folder) => `${folder}/${name}`).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isReadable(path) {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function hasUnit(name) {
  return UNIT_FOLDERS.some((folder) => existsSync(`${folder}/${name}`));
}

/** A program may come from elsewhere than its Debian package (a newer crun in /usr/local): what counts is that it is there. */
export function missingPackages(packages = PACKAGES) {
  return packages.filter(({ programs = [], files = [] }) => !programs.every(findProgram) || !files.every(isReadable));
}

/** Installs what is missing, and only that. Waits for another apt to finish. */
export async function installPackages(report, packages = PACKAGES) {
  const absent = missingPackages(packages);
  const missing = absent.map(({ name }) => name);
  if (missing.length === 0) return 'nothing missing';
  const options = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3', '-o', 'APT::Status-Fd=1', '-q'];
  // Services that are there already serve somebody else: only those that come with the packages are ours to stop.
  const services = absent.flatMap((each) => each.services ?? []).filter((unit) => !hasUnit(unit));
  // systemctl(1), SYSTEMD_OFFLINE: what a package does after its installation starts nothing.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'a', LC_ALL: 'C', ...(services.length > 0 && { SYSTEMD_OFFLINE: '1' }) };
  const onLine = (line) => report(aptProgress(line));
  const mend = `Try it by hand: apt-get update && apt-get install ${missing.join(' ')}`;
  if (!missing.every(isKnownToApt)) {
    report({ text: 'package lists' });
    await runProgram(['apt-get', ...options, 'update'], { env, onLine, mend, title: 'apt-get update' });
  }
  const install = ['apt-get', ...options, '-y', '--no-install-recommends', 'install', ...missing];
  try {
    await runProgram(install, { env, onLine, mend, title: 'apt-get install' });
  } catch {
    // Old package lists name versions that the mirror no longer has.
    await runProgram(['apt-get', ...options, 'update'], { env, onLine, mend, title: 'apt-get update' });
    await runProgram(install, { env, onLine, mend, title: 'apt-get install' });
  }
  const came = services.filter(hasUnit);
  if (came.length > 0 && existsSync('/run/systemd/system')) await runProgram(['systemctl', 'disable', '--now', ...came], { title: 'systemctl disable' });
  return `installed ${missing.join(', ')}`;
}

function isKnownToApt(name) {
  try {
    return execFileSync('apt-cache', ['policy', name], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }).match(/Candidate: (\S+)/)?.[1] !== '(none)'
      && execFileSync('apt-cache', ['show', '--no-all-versions', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }) !== '';
  } catch {
    return false;
  }
}

/** Lines of APT::Status-Fd: `dlstatus:1:12.5:Retrieving…`, `pmstatus:crun:40.0:Unpacking crun`. */
function aptProgress(line) {
  const match = /^(dlstatus|pmstatus):[^:]*:([\d.]+):(.*)$/.exec(line);
  if (!match) return {};
  const share = Number(match[2]) / 2 + (match[1] === 'pmstatus' ? 50 : 0);
  return { done: share, total: 100, text: match[3].slice(0, 50) };
}
