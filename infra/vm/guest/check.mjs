import { spawnSync } from 'node:child_process';
import { SEATS, delegateToContainers } from './seat.mjs';

// The whole check, in the machine. Each part runs where a person's Sandbar would: in a unit of systemd, unless it says otherwise.
// Words of their titles choose some of the parts.

// Emulated, everything is ten to twenty times slower.
const JEST = ['node', '--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--runInBand', '--verbose', '--watchman=false', '--testTimeout=120000', '--selectProjects', 'root'];
const jest = (...patterns) => [...JEST, ...patterns.flatMap((pattern) => ['--testPathPatterns', pattern])];

const PARTS = [
  ['cgroups, in a unit', 'service', jest('engine/src/cgroups/')],
  ['cgroups and sandboxes, in a container with a delegated cgroup', 'container', jest('engine/src/cgroups/', 'engine/src/runtime/guest-agent.root-spec')],
  ['sandboxes, in a unit', 'service', jest('engine/src/runtime/crun.root-spec', 'engine/src/runtime/guest-agent.root-spec', 'engine/src/linux/')],
  ['the platform', 'service', ['node', 'infra/vm/guest/platform.mjs']],
];

const wanted = process.argv.slice(2);
const failed = [];
for (const [title, seat, argv] of PARTS) {
  if (wanted.length > 0 && !wanted.some((word) => title.includes(word))) continue;
  if (seat === 'container') delegateToContainers();
  const began = performance.now();
  process.stdout.write(`\n── ${title}\n`);
  const [program, ...args] = SEATS[seat](argv);
  const { status, signal } = spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ENGINE_ROOT: '1', NODE_ENV: 'test' } });
  process.stdout.write(`── ${title}: ${status === 0 ? 'passed' : `failed (${signal ?? status})`} after ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
  if (status !== 0) failed.push(title);
}
process.stdout.write(failed.length === 0 ? '\nAll parts passed.\n' : `\nFailed: ${failed.join('; ')}\n`);
process.exit(failed.length === 0 ? 0 : 1);
