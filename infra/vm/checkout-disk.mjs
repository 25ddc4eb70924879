import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../setup/run-program.mjs';
import { CHECKOUT } from '../setup/settings.mjs';

const PARTS = ['apps', 'dist', 'infra', 'libs', 'prisma', 'test', '.swcrc', 'jest.config.js', 'package.json', 'tsconfig.json'];
/** Sources of programs that the engine's tests compile where there is a compiler. */
const TEST_PROGRAMS = { 'stub-agent': 'stub-agent.c', probe: 'probe.c', identity: 'identity.c' };

/** A tar of the checkout as it is, of what its tests would compile, and of the command to run there. Padded to what a disk can be. */
export async function makeCheckoutDisk({ work, command, file }) {
  const programs = join(work, 'test-programs');
  mkdirSync(programs);
  for (const [name, source] of Object.entries(TEST_PROGRAMS)) {
    await runProgram(['cc', '-O2', '-static', '-o', join(programs, name), join(CHECKOUT, 'libs/engine/src/runtime/testing', source)], { title: `cc ${source}` });
  }
  await runProgram(['cp', ...['sandbar-init', 'sandbar-spawner', 'sandbar-tree', 'sandbar-net', 'sandbar-dial'].map((name) => join(CHECKOUT, 'dist', 'native', name)), programs], { title: 'native programs', mend: 'node infra/native/build.mjs makes them.' });
  writeFileSync(join(work, '.vm-command'), `export SANDBAR_TEST_PROGRAMS=/checkout/test-programs PATH=/checkout/node_modules/.bin:$PATH\n${command}\n`);
  // Owned by root, whoever owns the checkout here; a blocking factor of 20 makes it a multiple of 512 bytes.
  await runProgram(['tar', '--owner=0', '--group=0', '-cf', file, '-C', CHECKOUT, ...PARTS, '-C', work, 'test-programs', '.vm-command'], { title: 'checkout' });
}
