import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findDebianSources, proxyVariables } from './debian-sources.js';

describe('where packages come from', () => {
  let etc: string;
  beforeEach(async () => {
    etc = await mkdtemp(join(tmpdir(), 'etc-'));
    await mkdir(join(etc, 'apt', 'sources.list.d'), { recursive: true });
  });
  afterEach(() => rm(etc, { recursive: true }));

  const find = () => findDebianSources(etc, '/dev/null');
  const debian = (codename: string) => writeFile(join(etc, 'os-release'), `PRETTY_NAME="Debian"\nVERSION_CODENAME=${codename}\nID=debian\n`);

  it('takes the mirrors of a Debian machine, one-line style', async () => {
    await debian('trixie');
    await writeFile(
      join(etc, 'apt', 'sources.list'),
      '# deb http://old.example/debian trixie main\ndeb-src http://src.example/debian trixie main\ndeb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian trixie main contrib # ours\ndeb http://sec.example/s trixie-security main\n',
    );
    expect(await find()).toEqual({
      suite: 'trixie',
      lines: ['deb https://mirror.example/debian trixie main', 'deb https://mirror.example/debian trixie-updates main', 'deb http://sec.example/s trixie-security main'],
      imageLines: ['deb https://mirror.example/debian trixie main', 'deb https://mirror.example/debian trixie-updates main', 'deb http://sec.example/s trixie-security main'],
    });
  });

  it.each(['http://user:secret@mirror.example/debian', 'http://localhost:3142/debian', 'http://127.0.0.1/debian'])('keeps %s out of images', async (mirror) => {
    await debian('bookworm');
    await writeFile(join(etc, 'apt', 'sources.list'), `deb ${mirror} bookworm main\n`);
    const { lines, imageLines } = await find();
    expect([lines[0], imageLines[0]]).toEqual([`deb ${mirror} bookworm main`, 'deb http://deb.debian.org/debian bookworm main']);
  });

  it('hands the proxies of apt to builds, not those that only this machine reaches', () => {
    expect([...proxyVariables(['Acquire::http::Proxy "http://proxy.example:3128";', 'Acquire::https::Proxy "http://127.0.0.1:3128";', 'Acquire::Retries "3";', 'Acquire::http::Proxy::deb.debian.org "DIRECT";'])]).toEqual([['http_proxy', 'http://proxy.example:3128']]);
  });

  it('takes them from deb822 files, and passes over what is disabled or not Debian', async () => {
    await debian('bookworm');
    const files: [string, string][] = [
      ['a.list', 'deb https://packages.example/vendor vendor-bookworm main\n'],
      ['b.sources', 'Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n'],
      ['c.sources', '# the mirror\nTypes: deb deb-src\n# http://commented.example\nURIs: http://on.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\nTypes: deb\nURIs: http://sec.example/s\nSuites: bookworm-security\nComponents: main\n'],
      ['d.sources.bak', 'Types: deb\nURIs: http://bak.example/debian\nSuites: bookworm\nComponents: main\n'],
    ];
    for (const [name, text] of files) await writeFile(join(etc, 'apt', 'sources.list.d', name), text);
    expect((await find()).lines).toEqual(['deb http://on.example/debian bookworm main', 'deb http://on.example/debian bookworm-updates main', 'deb http://sec.example/s bookworm-security main']);
  });

  it.each(['cdrom:[Debian]/', 'file:/srv/debian', "http://x.example/'$(id)"])('uses the public mirror in the place of %s', async (uri) => {
    await debian('bookworm');
    await writeFile(join(etc, 'apt', 'sources.list'), `deb ${uri} bookworm main\n`);
    expect((await find()).lines[0]).toBe('deb http://deb.debian.org/debian bookworm main');
  });

  it('takes Debian’s stable suite on other systems', async () => {
    await writeFile(join(etc, 'os-release'), 'ID=ubuntu\nVERSION_CODENAME=noble\n');
    await writeFile(join(etc, 'apt', 'sources.list'), 'deb http://archive.ubuntu.example/ubuntu noble main\n');
    expect(await find()).toMatchObject({ suite: 'bookworm', lines: ['deb http://deb.debian.org/debian bookworm main', expect.any(String), expect.any(String)] });
  });

  it('names the package when the keys are missing', async () => {
    await expect(findDebianSources(etc, join(etc, 'absent.gpg'))).rejects.toMatchObject({ code: 'failed_precondition', message: expect.stringContaining('install the package debian-archive-keyring') });
  });
});
