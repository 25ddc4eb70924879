import { execFile } from 'node:child_process';
import { open, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { writeTar, type TarEntryInput } from '#engine';
import { CodedError, asError } from '#kernel';

const PROGRAM = '/bin/busybox';
const PASSWD = 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n';
const GROUP = 'root:x:0:\ndaemon:x:1:\nadm:x:4:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n';
const SHADOW = 'root:*:::::::\ndaemon:*:::::::\nwww-data:*:::::::\nnobody:*:::::::\n';
const DIRECTORIES: readonly (readonly [string, number])[] = [
  ['./', 0o755],
  ['./bin/', 0o755],
  ['./dev/', 0o755],
  ['./etc/', 0o755],
  ['./home/', 0o755],
  ['./proc/', 0o555],
  ['./root/', 0o700],
  ['./sys/', 0o555],
  ['./tmp/', 0o1777],
  ['./usr/', 0o755],
  ['./usr/bin/', 0o755],
  ['./usr/sbin/', 0o755],
  ['./var/', 0o755],
  ['./var/www/', 0o755],
];

/** When that program was made: equal programs make equal images. Seconds since the epoch. @throws CodedError `failed_precondition` without the program */
export async function busyboxEpoch(program = PROGRAM): Promise<number> {
  try {
    return Math.floor((await stat(program)).mtimeMs / 1000);
  } catch (error) {
    throw new CodedError('failed_precondition', `${program} is missing: install the package busybox-static`, { package: 'busybox-static' }, { cause: asError(error) });
  }
}

/** The version of the machine's busybox, such as `1.35.0`; undefined when it does not say. */
export async function busyboxVersion(program = PROGRAM): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)(program, ['--help']);
  return /BusyBox v(\d+(?:\.\d+)+)/.exec(stdout)?.[1];
}

/** A root file system of Debian's static busybox: every applet is a hard link of one file, as in the image of that name. */
export async function* busyboxRootfs(program = PROGRAM): AsyncGenerator<Buffer, void, void> {
  const epoch = await busyboxEpoch(program);
  const { stdout } = await promisify(execFile)(program, ['--list']);
  const applets = stdout.split('\n').filter((name) => /^[\w[.-]+$/.test(name) && name !== 'busybox');
  const file = await open(program, 'r');
  try {
    const { size } = await file.stat();
    const content = file.createReadStream({ autoClose: false });
    const own = { uid: 0, gid: 0, mtimeNs: BigInt(epoch) * 1_000_000_000n };
    const text = (path: string, body: string, mode = 0o644): TarEntryInput => ({ ...own, path, type: 'file', mode, size: Buffer.byteLength(body), content: [Buffer.from(body)] });
    yield* writeTar([
      ...DIRECTORIES.map(([path, mode]): TarEntryInput => ({ ...own, path, type: 'directory', mode })),
      { ...own, path: './bin/busybox', type: 'file', mode: 0o755, size, content: content as AsyncIterable<Uint8Array> },
      ...applets.sort().map((name): TarEntryInput => ({ ...own, path: `./bin/${name}`, type: 'hardlink', mode: 0o755, linkname: './bin/busybox' })),
      { ...own, path: './usr/bin/env', type: 'symlink', mode: 0o777, linkname: '../../bin/env' },
      text('./etc/group', GROUP),
      text('./etc/hostname', 'localhost\n'),
      text('./etc/hosts', '127.0.0.1 localhost\n::1 localhost\n'),
      // Without it a C library of this kind asks no file for a host's name when a server answers.
      text('./etc/nsswitch.conf', 'hosts: files dns\n'),
      text('./etc/passwd', PASSWD),
      text('./etc/resolv.conf', ''),
      text('./etc/shadow', SHADOW, 0o640),
    ]);
  } finally {
    await file.close();
  }
}
