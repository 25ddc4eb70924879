import { spawnSync } from 'node:child_process';
import { inContainer } from './container.mjs';

// The whole check, in the machine. We are in a unit of systemd, as a person's Sandbar is: not at the root of the cgroups, nothing is
// delegated to us, and the controller `cpu` is not switched on. Words of their titles choose some of the parts.

// Emulated, everything is ten to twenty times slower.
const JEST = ['node', '--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--runInBand', '--verbose', '--watchman=false', '--testTimeout=120000', '--selectProjects', 'root'];
const jest = (...patterns) => [...JEST, ...patterns.flatMap((pattern) => ['--testPathPatterns', pattern])];

const PARTS = [
  ['cgroups, in a unit', () => jest('engine/src/cgroups/')],
  ['sandboxes, in a unit', () => jest('engine/src/runtime/crun.root-spec', 'engine/src/runtime/guest-agent.root-spec', 'engine/src/linux/')],
  // With CAP_SYS_RESOURCE, so that disks grow while they are used.
  ['tenants’ disks, in a unit', () => [...jest('engine/src/disks/'), '--testNamePattern', 'grow|gives space|outlive|name space']],
  ['the platform, in a unit', () => ['node', 'infra/vm/guest/platform.mjs']],
  ['cgroups and sandboxes, in a container', () => inContainer(jest('engine/src/cgroups/', 'engine/src/runtime/guest-agent.root-spec'))],
];

const wanted = process.argv.slice(2);
const failed = [];
for (const [title, argv] of PARTS) {
  if (wanted.length > 0 && !wanted.some((word) => title.includes(word))) continue;
  const began = performance.now();
  process.stdout.write(`\n── ${title}\n`);
  const [program, ...args] = argv();
  const { status, signal } = spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ENGINE_ROOT: '1', NODE_ENV: 'test', SANDBAR_TEST_TIME_SCALE: '8' } });
  process.stdout.write(`── ${title}: ${status === 0 ? 'passed' : `failed (${signal ?? status})`} after ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
  if (status !== 0) failed.push(title);
}
process.stdout.write(failed.length === 0 ? '\nAll parts passed.\n' : `\nFailed: ${failed.join('; ')}\n`);
process.exit(failed.length === 0 ? 0 : 1);
