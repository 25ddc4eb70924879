import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#kernel';
import { HelperGuestTrees } from './helper-guest-trees.js';

/** A guest can hold up whoever looks at its files (a file system of its own, say): what stands still is ended. */
describe('a helper that stands still', () => {
  let folder: string;
  let trees: HelperGuestTrees;
  const root = { pid: 1, startTicks: 1, cgroupJoinFiles: [] };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'stalled-'));
    const program = join(folder, 'helper');
    writeFileSync(program, '#!/bin/sh\nexec sleep 1000\n');
    chmodSync(program, 0o755);
    trees = new HelperGuestTrees({ program, logger: silentLogger, stallMs: 50 });
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) yield await Promise.resolve(Buffer.alloc(65_536));
  }

  it.each<[string, () => Promise<unknown>]>([
    ['says nothing', () => trees.stat(root, '/')],
    ['begins no stream', () => trees.pack(root, '/', 'x')],
    ['takes nothing', () => trees.write(root, '/x', endless(), { overwrite: true })],
  ])('and %s is ended', async (_name, work) => {
    await expect(work()).rejects.toMatchObject({ code: 'unavailable' });
  });
});
