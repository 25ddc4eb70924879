import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configWithHeader, customHeaders, dockerHost, keepPrivately, shellLines } from './docker-settings.js';

describe('settings for the docker CLI', () => {
  let folder: string;
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'docker-settings-')); });
  afterEach(() => { rmSync(folder, { recursive: true }); });

  it('know the host of a URL', () => {
    expect(['http://127.0.0.1:8080', 'http://gw', 'https://gw.example', 'http://[::1]:9000'].map(dockerHost)).toEqual(['tcp://127.0.0.1:8080', 'tcp://gw:80', 'tcp://gw.example:443', 'tcp://[::1]:9000']);
    expect(() => dockerHost('http://gw/path')).toThrow('has a path');
  });

  it('come out of a shell as they went in', () => {
    const odd = `a b'c"d$e\`f\\g`;
    const printed = execFileSync('sh', ['-c', `${shellLines({ ODD: odd, GONE: undefined, HEADERS: customHeaders('sbk_aB-_1') })}printf '%s|%s|%s' "$ODD" "\${GONE-none}" "$HEADERS"`], { encoding: 'utf8', env: { GONE: 'x' } });
    expect(printed).toBe(`${odd}|none|"Authorization=Bearer sbk_aB-_1"`);
    expect(() => customHeaders('sbk_"x')).toThrow('no API key');
  });

  it('are for this user only, and keep what stood there', () => {
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { r: {} }, HttpHeaders: { X: 'y' } }));
    keepPrivately(folder, { 'config.json': configWithHeader(folder, 'sbk_1') });
    expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))).toEqual({ auths: { r: {} }, HttpHeaders: { X: 'y', Authorization: 'Bearer sbk_1' } });
    expect(statSync(join(folder, 'config.json')).mode & 0o777).toBe(0o600);
    writeFileSync(join(folder, 'config.json'), '{');
    expect(() => configWithHeader(folder, 'sbk_1')).toThrow('cannot be read');
  });
});
