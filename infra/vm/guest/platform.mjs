import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { GUEST_STORE, RUNTIME } from '../settings.mjs';

// The whole product as a person starts it, then programs that go well and programs that attack it, over REST. Plain Node, exit code 0
// when all is as it should be.

const MiB = 1024 * 1024;
const URL = 'http://127.0.0.1:8080';
const READY_TIMEOUT_MS = 5 * 60_000;
const CGROUPS = '/sys/fs/cgroup';

let supervisor;
const seconds = (since) => ((performance.now() - since) / 1000).toFixed(1);

async function step(title, work) {
  const began = performance.now();
  try {
    const found = await work();
    process.stdout.write(`✓ ${title} (${seconds(began)} s)${found === undefined ? '' : `: ${found}`}\n`);
  } catch (error) {
    process.stdout.write(`✗ ${title} (${seconds(began)} s)\n`);
    throw error;
  }
}

const status = () => JSON.parse(readFileSync(`${GUEST_STORE}/run/status.json`, 'utf8'));

async function start() {
  supervisor = spawn('node', ['infra/setup/start.mjs', '--prepared', '--no-demo', '--data-dir', GUEST_STORE], { stdio: ['ignore', 'inherit', 'inherit'] });
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!existsSync(`${GUEST_STORE}/run/status.json`) || status().state !== 'ready') {
    assert.equal(supervisor.exitCode, null, 'it ended at its start');
    assert.ok(performance.now() < deadline, 'it did not get ready');
    await new Promise((done) => setTimeout(done, 200));
  }
}

async function run(code, limits = {}, more = {}) {
  const { apiKey } = JSON.parse(readFileSync(`${GUEST_STORE}/credentials.json`, 'utf8'));
  const answer = await fetch(`${URL}/v1/runs?wait=true`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ runtime: RUNTIME, code, limits, ...more }),
  });
  const body = await answer.json();
  assert.ok(answer.ok, JSON.stringify(body));
  return body;
}

/** Compares what `expected` names. */
function expectRun(found, expected) {
  const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, found[name]]));
  assert.deepEqual(seen, expected, JSON.stringify(found));
}

async function hello() {
  const found = await run('echo hello; echo bad >&2; id -u; exit 3');
  expectRun(found, { state: 'failed', exitCode: 3, stdout: 'hello\n1000\n', stderr: 'bad\n' });
  assert.ok(found.memoryPeakBytes > 0);
  return `${found.wallTimeMs} ms`;
}

async function memoryHog() {
  const found = await run('x=0123456789abcdef; while :; do x=$x$x; done', { memoryBytes: 64 * MiB, wallTimeMs: 60_000 });
  expectRun(found, { state: 'memory_exceeded' });
  assert.ok(found.memoryPeakBytes > 32 * MiB && found.memoryPeakBytes <= 64 * MiB, `peak ${found.memoryPeakBytes}`);
  return `peak ${(found.memoryPeakBytes / MiB).toFixed(1)} MiB of 64`;
}

async function forkBomb() {
  // bash itself may give up when it cannot fork: what the run waits for forks no more.
  const found = await run('(f() { f & f & }; while :; do f; done) & exec sleep 1000', { pids: 50, wallTimeMs: 4000, cpuTimeMs: 60_000 });
  expectRun(found, { state: 'timed_out' });
}

async function fullDisk() {
  const found = await run('head -c 20M /dev/zero > big; stat -c %s big', { diskBytes: 8 * MiB });
  assert.match(found.stderr, /No space left/);
  assert.ok(Number(found.stdout) <= 8 * MiB, found.stdout);
}

/** While it sleeps, a look at where everything is. */
async function endlessSleep() {
  const ended = run('echo here; sleep 1000', { wallTimeMs: 8000 });
  ended.catch(() => undefined);
  const { cgroupRoot, services } = status();
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  assert.equal(readFileSync(`/proc/${services.worker.pid}/cgroup`, 'utf8'), own, 'the worker stays where the person started it');
  let sandboxes = [];
  for (let look = 0; look < 300 && sandboxes.length === 0; look += 1) {
    await new Promise((done) => setTimeout(done, 20));
    sandboxes = cgroupsBelow(`${CGROUPS}/${cgroupRoot}`).filter((dir) => dir.includes('/sbx_') && readIfAny(`${dir}/cgroup.procs`) !== '');
  }
  assert.equal(sandboxes.length, 1, sandboxes.join());
  const limits = Object.fromEntries(['memory.max', 'memory.swap.max', 'pids.max', 'cpu.max'].map((file) => [file, readIfAny(`${sandboxes[0]}/${file}`)]));
  for (const file of ['memory.max', 'pids.max', 'cpu.max']) assert.match(limits[file], /^\d/, `${file} is ${limits[file]}`);
  // systemd takes away what its own units do not need; the kernel lets it not.
  for (const controller of ['cpu', 'memory', 'pids']) assert.throws(() => writeFileSync(`${CGROUPS}/cgroup.subtree_control`, `-${controller}`), { code: 'EBUSY' });
  const found = await ended;
  expectRun(found, { state: 'timed_out', stdout: 'here\n' });
  return Object.entries(limits).map(([file, value]) => `${file} ${value}`).join(', ');
}

function readIfAny(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : 'not there';
}

function cgroupsBelow(dir) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory()).flatMap(({ name }) => [`${dir}/${name}`, ...cgroupsBelow(`${dir}/${name}`)]);
}

/** Linux 6.1 cannot map the ids of its files, which every launch needs. */
function memoryFolder() {
  const { stdout } = spawnSync('node', ['infra/setup/doctor.mjs', '--data-dir', '/run/sandbar', '--json'], { encoding: 'utf8' });
  const { status: found, found: where } = JSON.parse(stdout).checks.find(({ name }) => name === 'data folder');
  assert.deepEqual([found, where], ['fail', '/run/sandbar on tmpfs']);
}

function doctor(...args) {
  const { status: code, stdout, stderr } = spawnSync('node', ['infra/setup/doctor.mjs', '--data-dir', GUEST_STORE, ...args], { encoding: 'utf8' });
  assert.equal(code, 0, `${stdout}${stderr}`);
  return stdout.trim().split('\n').at(-1);
}

async function stop() {
  const { cgroupRoot } = status();
  const ended = once(supervisor, 'exit');
  supervisor.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.equal(existsSync(`${CGROUPS}/${cgroupRoot}`), false, 'the cgroup tree is gone');
}

try {
  await step('doctor refuses a data folder in memory', memoryFolder);
  await step('it starts', start);
  await step('doctor finds nothing in the way', () => doctor());
  await step('hello', hello);
  await step('a memory hog is memory_exceeded', memoryHog);
  await step('a fork bomb ends at its wall time', forkBomb);
  await step('a full disk is ENOSPC', fullDisk);
  await step('an endless sleep ends at its wall time, within its limits', endlessSleep);
  await step('hello again', hello);
  await step('doctor --leaks, while it runs', () => doctor('--leaks'));
  await step('it stops', stop);
  await step('doctor --leaks', () => doctor('--leaks'));
} catch (error) {
  process.stdout.write(`${error.stack}\n`);
  for (const name of ['worker', 'gateway', 'redis', 'postgres']) process.stdout.write(`${name}.log:\n${readIfAny(`${GUEST_STORE}/log/${name}.log`).split('\n').slice(-25).join('\n')}\n`);
  process.exitCode = 1;
} finally {
  supervisor?.kill('SIGKILL');
}
