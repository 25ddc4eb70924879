import { constants, accessSync, existsSync, readFileSync, statSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { arch, platform, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { lockHolder } from './lock.mjs';
import { checkNetworks } from './network-check.mjs';
import { findProgram } from './packages.mjs';
import { dataPaths } from './settings.mjs';

const GiB = 1024 ** 3;
const MINIMUM_NODE = [20, 19];
/** sun_path holds 107 bytes; the longest socket below the data folder takes 47 of them. */
const MAX_DATA_DIR_BYTES = 60;

const ok = (found) => ({ status: 'ok', found, mend: '' });
const warn = (found, mend) => ({ status: 'warn', found, mend });
const fail = (found, mend) => ({ status: 'fail', found, mend });

/** What the machine must be. Each look is quick, changes nothing, and says how to mend what it finds. */
const CHECKS = [
  ['node', () => {
    const [major, minor] = process.versions.node.split('.').map(Number);
    const enough = major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1]);
    return enough ? ok(process.version) : fail(process.version, `Install Node.js ${MINIMUM_NODE.join('.')} or later.`);
  }],
  ['user', () => (process.getuid() === 0 ? ok('root') : fail(`uid ${process.getuid()}`, 'Run it as root: sudo npm start. Sandboxes and the gateway do not run as root.'))],
  ['system', () => checkSystem()],
  ['processor', () => (arch() === 'x64' || arch() === 'arm64' ? ok(arch()) : fail(arch(), 'Sandbar runs on x64 and arm64.'))],
  ['kernel', () => checkKernel()],
  ['overlayfs', () => checkOverlay()],
  ['user name spaces', () => checkUserNamespaces()],
  ['seccomp', () => checkSeccomp()],
  ['cgroups', () => checkCgroups()],
  ['memory', () => checkMemory()],
  ['data folder', (settings) => checkDataDir(settings)],
  ['disk', (settings) => checkDisk(settings)],
  ['tenants’ disks', () => checkTenantDisks()],
  ['networks', () => checkNetworks()],
  ['port', (settings) => checkPort(settings)],
];

/** @returns {Promise<{ name: string, status: 'ok'|'warn'|'fail', found: string, mend: string }[]>} */
export async function checkMachine(settings) {
  return Promise.all(
    CHECKS.map(async ([name, look]) => {
      try {
        return { name, ...(await look(settings)) };
      } catch (error) {
        return { name, ...fail(`could not be checked: ${error.message}`, '') };
      }
    }),
  );
}

function checkSystem() {
  if (platform() !== 'linux') return fail(platform(), 'Sandbar needs Linux: its sandboxes are made of kernel features.');
  const facts = Object.fromEntries(readFileSync('/etc/os-release', 'utf8').split('\n').map((line) => /^(\w+)="?([^"]*)"?$/.exec(line)).filter(Boolean).map((match) => [match[1], match[2]]));
  const name = facts.PRETTY_NAME ?? facts.ID ?? 'unknown';
  const minimum = { debian: 12, ubuntu: 24.04 }[facts.ID];
  if (minimum !== undefined && Number(facts.VERSION_ID) >= minimum) return ok(name);
  if (existsSync('/usr/bin/apt-get')) return warn(name, 'Tested on Debian 12 and Ubuntu 24.04; missing packages are installed with apt-get.');
  return warn(name, 'Tested on Debian 12 and Ubuntu 24.04. Without apt-get, install crun, redis, iproute2, nftables, mmdebstrap, busybox, gcc and libc headers yourself.');
}

function isKernel([wantedMajor, wantedMinor], kernel = release()) {
  const [major, minor] = kernel.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function checkKernel() {
  if (isKernel([5, 19])) return ok(release());
  return fail(release(), 'Overlays over id-mapped layers came with Linux 5.19: install a newer kernel (Debian 12 has 6.1).');
}

function checkOverlay() {
  if (readFileSync('/proc/filesystems', 'utf8').split('\n').some((line) => line.trim().endsWith('overlay'))) return ok('present');
  const module = `/lib/modules/${release()}/kernel/fs/overlayfs`;
  if (existsSync(module)) return ok('a module that is loaded at first use');
  return fail('not in this kernel', 'Run modprobe overlay, or use a kernel with CONFIG_OVERLAY_FS.');
}

function checkUserNamespaces() {
  const file = '/proc/sys/user/max_user_namespaces';
  if (!existsSync(file)) return fail('not in this kernel', 'Use a kernel with CONFIG_USER_NS.');
  const limit = Number(readFileSync(file, 'utf8'));
  if (limit === 0) return fail('switched off', 'Run sysctl -w user.max_user_namespaces=65536 and put it into /etc/sysctl.d/.');
  return limit < 1024 ? warn(`at most ${limit}`, 'Each sandbox takes one: sysctl -w user.max_user_namespaces=65536.') : ok(`at most ${limit}`);
}

function checkSeccomp() {
  const file = '/proc/sys/kernel/seccomp/actions_avail';
  if (!existsSync(file)) return fail('not in this kernel', 'Use a kernel with CONFIG_SECCOMP_FILTER.');
  return ok('filters available');
}

export function cgroupLayout() {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' '));
  const v1 = mounts.filter((mount) => mount[2] === 'cgroup').map((mount) => ({ path: mount[1], options: mount[3].split(',') }));
  const v2 = mounts.filter((mount) => mount[2] === 'cgroup2').map((mount) => mount[1]);
  const controllers = v1.filter(({ options }) => ['memory', 'pids', 'cpu'].some((name) => options.includes(name)));
  if (controllers.length === 0 && v2.length > 0) return { mode: 'v2', roots: v2.slice(0, 1), v1: [] };
  return { mode: v2.length > 0 ? 'hybrid' : 'v1', roots: [...v1.map(({ path }) => path), ...v2], v1 };
}

function checkCgroups() {
  const { mode, roots, v1 } = cgroupLayout();
  if (roots.length === 0) return fail('not mounted', 'Mount the cgroup file system: mount -t cgroup2 none /sys/fs/cgroup.');
  const present = mode === 'v2' ? readFileSync(join(roots[0], 'cgroup.controllers'), 'utf8').trim().split(' ') : v1.flatMap(({ options }) => options);
  const missing = (mode === 'v2' ? ['cpu', 'memory', 'pids'] : ['cpu', 'cpuacct', 'memory', 'pids', 'freezer']).filter((name) => !present.includes(name));
  if (missing.length > 0) return fail(`${mode}, without ${missing.join(', ')}`, 'Switch the controllers on (kernel command line: cgroup_enable=memory), or delegate them to this container.');
  for (const root of roots) {
    if (!isWritable(root)) return fail(`${mode}, ${root} is read-only`, 'In a container: give it a writable cgroup tree (a privileged container).');
  }
  return ok(`${mode} with ${mode === 'v2' ? 'cpu, memory, pids' : 'cpu, cpuacct, memory, pids, freezer'}`);
}

function isWritable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function checkMemory() {
  const found = `${(totalmem() / GiB).toFixed(1)} GiB`;
  if (totalmem() < 0.9 * GiB) return fail(found, 'Sandbar and its services take about 0.7 GiB; give the machine at least 1 GiB.');
  return totalmem() < 1.9 * GiB ? warn(found, '2 GiB or more leave room for the programs in the sandboxes.') : ok(found);
}

/** File systems whose files can be mounted id-mapped, by the magic number of statfs(2); all but one on every kernel that we accept. */
const FILE_SYSTEMS = { 0xef53: 'ext4', 0x58465342: 'xfs', 0x9123683e: 'btrfs', 0x01021994: 'tmpfs', 0xf2f52010: 'f2fs' };
/** mount_setattr(2): tmpfs came with Linux 6.3. */
const TMPFS_KERNEL = [6, 3];

/** Undefined for a file system that is unknown. */
export function mapsIds(fileSystem, kernel = release()) {
  return fileSystem === undefined ? undefined : fileSystem !== 'tmpfs' || isKernel(TMPFS_KERNEL, kernel);
}
const OVERLAY_MAGIC = 0x794c7630;

function checkDataDir({ dataDir }) {
  const bytes = Buffer.byteLength(dataDir);
  if (bytes > MAX_DATA_DIR_BYTES) return fail(`${dataDir} (${bytes} bytes)`, `Sockets live below it and their paths are limited: name one of at most ${MAX_DATA_DIR_BYTES} bytes with --data-dir.`);
  for (let path = dirname(dataDir); path !== '/'; path = dirname(path)) {
    if (existsSync(path) && (statSync(path).mode & 0o001) === 0) return fail(dataDir, `Unprivileged services cannot pass ${path}: run chmod o+x ${path}, or name another folder with --data-dir.`);
  }
  const type = statfsSync(existingParent(dataDir)).type;
  if (type === OVERLAY_MAGIC) return fail(`${dataDir} on overlay`, 'The layers of sandboxes cannot stand on an overlay (a container’s own root): mount a volume there.');
  if (mapsIds(FILE_SYSTEMS[type]) === false) return fail(`${dataDir} on tmpfs`, `Linux ${release()} cannot map the ids of files on tmpfs (${TMPFS_KERNEL.join('.')} can): name a folder on a disk with --data-dir.`);
  return FILE_SYSTEMS[type] ? ok(`${dataDir} on ${FILE_SYSTEMS[type]}`) : warn(`${dataDir} on a file system of type 0x${type.toString(16)}`, 'Tested on ext4, xfs, btrfs and tmpfs.');
}

export function existingParent(path) {
  let at = path;
  while (!existsSync(at)) at = dirname(at);
  return at;
}

function checkDisk({ dataDir }) {
  const { bavail, bsize } = statfsSync(existingParent(dataDir));
  const free = (bavail * bsize) / GiB;
  const found = `${free.toFixed(1)} GiB free`;
  const installed = existsSync(dataPaths(dataDir).credentials);
  if (free >= 4) return ok(found);
  if (!installed) return fail(found, `The runtimes’ images need room: free 4 GiB on the disk of ${dataDir}, or name another with --data-dir.`);
  return free < 1 ? fail(found, `Free some space on the disk of ${dataDir}.`) : warn(found, 'Less than 4 GiB are left.');
}

/** What the engine needs to give each tenant a file system with a hard end (docs/adr/0006-tenant-disks.md). */
function checkTenantDisks() {
  if (!existsSync('/dev/loop-control')) return warn('no loop devices', 'Images and volumes need them: run modprobe loop; in a container, give it /dev/loop-control and the loop devices.');
  const hasExt4 = readFileSync('/proc/filesystems', 'utf8').split('\n').some((line) => line.trim() === 'ext4') || existsSync(`/lib/modules/${release()}/kernel/fs/ext4`);
  if (!hasExt4) return warn('no ext4 in this kernel', 'Images and volumes need it: use a kernel with CONFIG_EXT4_FS.');
  const driver = 'ext4 images on loop devices';
  const missing = ['mkfs.ext4', 'resize2fs', 'losetup', 'mount', 'fallocate'].filter((program) => !findProgram(program));
  if (missing.length > 0) return warn(`${driver}, but no ${missing.join(', ')}`, 'npm start installs them, or: apt-get install e2fsprogs mount util-linux.');
  return hasCapability(CAP_SYS_RESOURCE) ? ok(driver) : ok(`${driver}, which grow when nothing uses them (no CAP_SYS_RESOURCE)`);
}

/** capabilities(7): online growth of ext4 asks for it. */
const CAP_SYS_RESOURCE = 24n;

function hasCapability(number) {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> number) & 1n) === 1n;
}

async function checkPort({ dataDir, host, port }) {
  if (port < 1024) return fail(`${port}`, 'The gateway has no privileges and cannot open ports below 1024: put a proxy in front, or choose another with SANDBAR_PORT.');
  const holder = lockHolder(dataPaths(dataDir).lock);
  if (holder?.port === port) return ok(`${port}, ours (process ${holder.pid})`);
  const error = await tryListen(host, port);
  if (!error) return ok(`${port} is free`);
  if (error.code === 'EADDRINUSE') return fail(`${port} is taken`, `See who has it (ss -ltnp 'sport = :${port}'), or choose another: SANDBAR_PORT=8081 npm start.`);
  if (error.code === 'EADDRNOTAVAIL') return fail(`${host} is no address of this machine`, 'Set SANDBAR_HOST to 127.0.0.1, 0.0.0.0 or one of the machine’s own.');
  return fail(error.message, 'Set SANDBAR_HOST and SANDBAR_PORT to what this machine can open.');
}

function tryListen(host, port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const SIGNS = { ok: '✔', warn: '!', fail: '✘' };

export function renderCheck({ name, status, found, mend }) {
  const line = `${SIGNS[status]} ${name}: ${found}`;
  return mend && status !== 'ok' ? `${line}\n    ${mend}` : line;
}
