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
  { name: 'mmdebstrap', programs: ['mmdebstrap'], why: 'makes the runtimes’ root file systems' },
  { name: 'busybox-static', programs: ['busybox'], why: 'small sandboxes and tests' },
  { name: 'debian-archive-keyring', files: ['/usr/share/keyrings/debian-archive-keyring.gpg'], why: 'verifies Debian packages' },
  { name: 'gcc', programs: ['gcc', 'cc'], why: 'compiles the guest agent' },
  { name: 'libc6-dev', files: ['/usr/include/stdlib.h'], why: 'compiles the guest agent' },
  { name: 'linux-libc-dev', files: ['/usr/include/linux/mount.h'], why: 'compiles the guest agent' },
  { name: 'util-linux', programs: ['unshare', 'setpriv', 'fallocate'], why: 'starts the services without privileges; tenants’ disks' },
  { name: 'mount', programs: ['mount', 'umount', 'losetup'], why: 'starts the services without privileges; tenants’ disks' },
  { name: 'e2fsprogs', programs: ['mkfs.ext4', 'resize2fs'], why: 'tenants’ disks' },
  { name: 'passwd', programs: ['useradd'], why: 'makes the services’ users' },
  { name: 'tar', programs: ['tar'], why: 'reads root file systems' },
];

/** What only the tests use. A `service` is one that Debian starts with the package: tests start their own, so it is stopped. */
export const TEST_PACKAGES = [
  { name: 'docker-registry', programs: ['docker-registry'], service: 'docker-registry', why: 'tests of pull and push' },
  { name: 'apache2-utils', programs: ['htpasswd'], why: 'logins of test registries' },
  { name: 'openssl', programs: ['openssl'], why: 'certificates of test registries' },
];

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
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'a', LC_ALL: 'C' };
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
  for (const { service } of absent) if (service !== undefined && existsSync('/run/systemd/system')) await runProgram(['systemctl', 'disable', '--now', service], { env, title: 'systemctl disable' });
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
