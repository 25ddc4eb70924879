import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findAptNetworkOptions, findDebianSources } from '../../dist/apps/worker/src/base-images/debian-sources.js';
import { runProgram } from '../setup/run-program.mjs';
import { SetupError } from '../setup/setup-error.mjs';
import { CHECKOUT, TEST_DATA_DIR } from '../setup/settings.mjs';
import { GUEST_CHECKOUT, GUEST_STORE, RUNTIME, VM_DIR } from './settings.mjs';

/** What a user's machine has, with the loader of kernel modules; `cc` is left out: the programs come ready. */
const PACKAGES = ['busybox-static', 'crun', 'e2fsprogs', 'iproute2', 'kmod', 'mount', 'nftables', 'procps', 'redis-server', 'systemd', 'util-linux'];
const DISK_SIZE = '8G';
/** In the order of their needs: what the initramfs loads to see the disk. */
const DISK_MODULES = ['virtio/virtio_ring', 'virtio/virtio', 'virtio/virtio_pci_legacy_dev', 'virtio/virtio_pci_modern_dev', 'virtio/virtio_pci', 'block/virtio_blk'];
/** Of node_modules: no platform test needs them, and they are most of its size. */
const UNNEEDED_MODULES = ['typescript', '@typescript-eslint', 'typescript-eslint', 'eslint', 'dependency-cruiser', 'prisma', '@prisma/engines', '@prisma/studio-core', '@prisma/schema-engine-wasm', '@electric-sql', '@nestjs/cli', '@swc/cli', '@visx', 'elkjs'];

/** The folder with `vmlinuz`, `initrd` and `disk.img` for this lock file and runtime; made when it is not there. */
export async function ensureBaseImage(report) {
  const runtime = installedRuntime();
  const parts = [import.meta.filename, join(import.meta.dirname, 'guest', 'initramfs-init'), join(CHECKOUT, 'package-lock.json')].map((file) => readFileSync(file));
  const key = createHash('sha256').update(Buffer.concat(parts)).update(JSON.stringify(runtime)).digest('hex').slice(0, 16);
  const images = join(VM_DIR, `image-${key}`);
  if (existsSync(images)) return images;
  const work = mkdtempSync(join(VM_DIR, 'making-'));
  try {
    // mmdebstrap fetches as the user _apt, who must be able to enter.
    chmodSync(work, 0o711);
    await makeImages(work, runtime, report);
    for (const name of readdirSync(VM_DIR)) if (name.startsWith('image-')) rmSync(join(VM_DIR, name), { recursive: true, force: true });
    renameSync(join(work, 'out'), images);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return images;
}

function installedRuntime() {
  try {
    const { runtimes } = JSON.parse(readFileSync(join(TEST_DATA_DIR, 'runtimes.json'), 'utf8'));
    const runtime = runtimes.find(({ name }) => name === RUNTIME);
    if (runtime) return runtime;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  throw new SetupError(`${TEST_DATA_DIR} has no runtime ${RUNTIME}`, { mend: 'npm test prepares it: npm test -- --selectProjects unit' });
}

async function makeImages(work, runtime, report) {
  const out = join(work, 'out');
  const tree = join(work, 'tree');
  mkdirSync(out);
  report('Debian and its kernel');
  await makeTree(tree);
  const release = readdirSync(join(tree, 'lib', 'modules'))[0];
  cpSync(join(tree, 'boot', `vmlinuz-${release}`), join(out, 'vmlinuz'));
  report('initramfs');
  await makeInitramfs({ work, tree, release, file: join(out, 'initrd') });
  report('node_modules and the runtime');
  await addProduct(tree, runtime);
  report('disk');
  await runProgram(['mke2fs', '-q', '-t', 'ext4', '-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard', '-m', '0', '-d', tree, join(out, 'disk.img'), DISK_SIZE], { title: 'mke2fs' });
}

/** A minimal Debian of this machine's release (Debian 12 elsewhere) with its cloud kernel unpacked, not installed: no boot loader is needed. */
async function makeTree(tree) {
  const sources = await findDebianSources();
  const options = [...(await findAptNetworkOptions()), 'Apt::Install-Recommends "false";', 'Acquire::Languages "none";'];
  const kernel = `set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -n 1)
cd "$1/boot"
apt-get -q download "$image"
dpkg-deb -x "$image"_*.deb "$1/kernel"
rm -f "$image"_*.deb
mv "$1"/kernel/boot/vmlinuz-* "$1/boot/"
mkdir -p "$1/usr/lib/modules"
mv "$1"/kernel/lib/modules/* "$1/usr/lib/modules/"
rm -r "$1/kernel"
chroot "$1" depmod "$(ls "$1/usr/lib/modules")"
rm -f "$1/etc/resolv.conf"`;
  // Its mounts and processes end with it, however it ends.
  const walls = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];
  const argv = [...walls, 'mmdebstrap', '--mode=root', '--format=directory', '--variant=minbase', ...options.map((option) => `--aptopt=${option}`), '--dpkgopt=path-exclude=/usr/share/doc/*', '--dpkgopt=path-exclude=/usr/share/locale/*', '--dpkgopt=path-exclude=/usr/share/man/*', '--dpkgopt=force-unsafe-io', `--include=${PACKAGES.join(',')}`, `--customize-hook=${kernel}`, sources.suite, tree, ...sources.lines];
  await runProgram(argv, { title: 'mmdebstrap', mend: 'Debian’s packages must be reachable for the first run.' });
}

async function makeInitramfs({ work, tree, release, file }) {
  const root = join(work, 'initramfs');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'mnt', 'modules']) mkdirSync(join(root, name), { recursive: true });
  cpSync(join(tree, 'bin', 'busybox'), join(root, 'bin', 'busybox'));
  for (const name of DISK_MODULES) cpSync(join(tree, 'lib/modules', release, 'kernel/drivers', `${name}.ko`), join(root, 'modules', `${name.split('/')[1]}.ko`));
  writeFileSync(join(root, 'modules', 'order'), DISK_MODULES.map((name) => `${name.split('/')[1]}\n`).join(''));
  cpSync(join(import.meta.dirname, 'guest', 'initramfs-init'), join(root, 'init'));
  chmodSync(join(root, 'init'), 0o755);
  await runProgram(['sh', '-c', 'cd "$1" && find . | busybox cpio -o -H newc | gzip -1 > "$2"', 'sh', root, file], { title: 'initramfs' });
}

/** node_modules, and a store that holds one runtime: its layers, and the image without whose record they would be garbage. */
async function addProduct(tree, runtime) {
  const checkout = join(tree, GUEST_CHECKOUT);
  mkdirSync(checkout);
  await runProgram(['tar', '-C', CHECKOUT, ...UNNEEDED_MODULES.map((name) => `--exclude=node_modules/${name}`), '-cf', join(tree, 'node_modules.tar'), 'node_modules/'], { title: 'node_modules' });
  await runProgram(['tar', '-C', checkout, '-xf', join(tree, 'node_modules.tar')], { title: 'node_modules' });
  rmSync(join(tree, 'node_modules.tar'));
  const store = join(tree, GUEST_STORE);
  const snapshots = runtime.layers.map((chainId) => join('engine', 'snapshots', chainId.replace('sha256:', '')));
  mkdirSync(join(store, 'engine', 'snapshots'), { recursive: true });
  for (const folder of [store, join(store, 'engine')]) chmodSync(folder, 0o711);
  chmodSync(join(store, 'engine', 'snapshots'), 0o700);
  cpSync(join(TEST_DATA_DIR, 'sandbar-data.json'), join(store, 'sandbar-data.json'));
  // Images of other runtimes, whose layers are not there, are left out when they are read.
  for (const part of [...snapshots, join('engine', 'content'), join('engine', 'images')]) {
    await runProgram(['cp', '--archive', join(TEST_DATA_DIR, part), join(store, part)], { title: `the runtime ${RUNTIME}` });
  }
  writeFileSync(join(store, 'runtimes.json'), JSON.stringify({ version: 2, runtimes: [runtime] }));
}
