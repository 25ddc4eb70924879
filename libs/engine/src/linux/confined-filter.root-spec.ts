import { readdirSync, readFileSync } from 'node:fs';
import { confinedFilter } from './index.js';

const LIMITS = { memoryBytes: 64 * 1024 * 1024, cpuSeconds: 2 };

async function filtered(script: string, input: Iterable<string> = []): Promise<string> {
  const pieces: Buffer[] = [];
  const source = (async function* () {
    for (const text of input) yield await Promise.resolve(Buffer.from(text));
  })();
  for await (const piece of confinedFilter(['sh', '-c', script], source, LIMITS)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** Programs of that name, anywhere on the node. */
function running(name: string): number {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && nameOf(pid) === name).length;
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

describe('a confined filter', () => {
  it('hands on what its program makes of what comes', async () => {
    expect(await filtered('tr a-z A-Z', ['one ', 'two'])).toBe('ONE TWO');
  });

  it('runs as nobody, alone, without capabilities, network and files', async () => {
    const seen = await filtered('id -u; id -G; grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status; wc -l < /proc/net/dev; echo $$; (echo x > /tmp/confined-filter) 2>/dev/null; test -s /tmp/confined-filter || echo no file');
    expect(seen.split('\n').map((line) => line.trim())).toEqual(['65534', '65534', 'CapEff:\t0000000000000000', 'CapBnd:\t0000000000000000', 'NoNewPrivs:\t1', '3', expect.stringMatching(/^\d$/) as string, 'no file', '']);
  });

  it('ends with the failure of its program, and with the program when nobody reads any more', async () => {
    await expect(filtered('cat; echo broken >&2; exit 3', ['x'])).rejects.toMatchObject({ code: 'invalid_argument', message: 'sh: broken' });
    await expect(filtered('while :; do :; done')).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(filtered('dd if=/dev/zero of=/dev/null bs=100M count=1')).rejects.toMatchObject({ code: 'invalid_argument' });
    const before = running('yes');
    const endless = confinedFilter(['yes'], (async function* () {})(), LIMITS);
    await endless.next();
    expect(running('yes')).toBe(before + 1);
    await endless.return();
    for (const limit = Date.now() + 10_000; running('yes') > before && Date.now() < limit; ) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(running('yes')).toBe(before);
  }, 30_000);
});
