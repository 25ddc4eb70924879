import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Runs the dependency rule, and then shows that it can fail: a checker that resolves nothing also finds no violation.
const root = join(import.meta.dirname, '..', '..');
const MINIMUM_MODULES = 60;

function cruise() {
  const bin = join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const run = spawnSync(process.execPath, [bin, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'apps', 'libs', 'test', 'bench'].filter((arg) => !/^(apps|libs|test|bench)$/.test(arg) || existsSync(join(root, arg))), { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  if (run.status === null || run.stdout === '') throw new Error(`dependency-cruiser did not run: ${run.stderr}`);
  const { summary } = JSON.parse(run.stdout);
  return { modules: summary.totalCruised, violations: summary.violations.filter((violation) => violation.rule.severity === 'error') };
}

const PLANTED = [
  { file: 'apps/gateway/src/planted-violation.ts', text: "import '#engine';\n", rule: 'gateway-never-links-the-engine' },
  { file: 'libs/engine/src/linux/planted-violation.ts', text: "import '../runtime/index.js';\n", rule: 'engine-linux-stands-on-lower-ones' },
  { file: 'libs/kernel/src/planted-violation.ts', text: "import 'zod';\n", rule: 'kernel-imports-nothing-of-ours' },
  { file: 'apps/worker/src/planted-violation.ts', text: "import '#persistence';\n", rule: 'worker-never-links-the-database' },
];

const { modules, violations } = cruise();
for (const violation of violations) console.error(`boundary: ${violation.rule.name}: ${violation.from} → ${violation.to}`);
if (violations.length > 0) process.exit(1);
if (modules < MINIMUM_MODULES) {
  console.error(`boundary: only ${modules} modules were seen, at least ${MINIMUM_MODULES} expected: the checker resolves nothing`);
  process.exit(1);
}

const made = [];
try {
  for (const { file, text } of PLANTED) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
    made.push(file);
  }
  const fired = new Set(cruise().violations.map((violation) => `${violation.from} ${violation.rule.name}`));
  const silent = PLANTED.filter(({ file, rule }) => !fired.has(`${file} ${rule}`));
  if (silent.length > 0) {
    for (const { rule } of silent) console.error(`boundary: the rule ${rule} did not fire on a planted violation`);
    process.exitCode = 1;
  }
} finally {
  for (const file of made) rmSync(join(root, file), { force: true });
}
if (!process.exitCode) console.log(`boundary: ${modules} modules, no violation; the rules fire on ${PLANTED.length} planted ones`);
