#!/usr/bin/env node
/**
 * Compiles the native programs (libs/engine/native) into dist/native. A program is compiled again when its sources, the flags or
 * the compiler changed. Plain Node: it runs before anything is installed.
 *
 *   node infra/native/build.mjs [--out FOLDER] [--force] [PROGRAM…]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const PROGRAMS = { 'sandbar-init': 'init', 'sandbar-spawner': 'spawner', 'sandbar-tree': 'tree', 'sandbar-net': 'net', 'sandbar-dial': 'dial' };
const FLAGS = [
  '-O2', '-static', '-std=gnu11', '-D_GNU_SOURCE=', '-D_FORTIFY_SOURCE=2', '-fstack-protector-strong',
  '-Wall', '-Wextra', '-Werror', '-Wshadow', '-Wconversion', '-Wsign-conversion', '-Wl,-z,relro,-z,now,-z,noexecstack',
];

class BuildError extends Error {}

function compilerVersion(compiler) {
  try {
    return execFileSync(compiler, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0];
  } catch {
    throw new BuildError(`no C compiler: "${compiler}" cannot be run. On Debian and Ubuntu: apt-get install -y gcc libc6-dev`);
  }
}

function sourcesOf(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => /\.[ch]$/.test(name)).sort().map((name) => join(folder, name));
}

function fingerprint(sources, compiler) {
  const hash = createHash('sha256').update(JSON.stringify([compiler, FLAGS]));
  for (const source of sources) hash.update(`\0${source.slice(ROOT.length)}\0`).update(readFileSync(source));
  return hash.digest('hex');
}

/** 'built', 'current', or 'absent' when there are no sources. The program appears whole or not at all. */
function build(name, { out, compiler, version, force }) {
  const sources = sourcesOf(join(ROOT, 'libs/engine/native', PROGRAMS[name]));
  const units = sources.filter((source) => source.endsWith('.c'));
  if (units.length === 0) return 'absent';
  const target = join(out, name);
  const stamp = join(out, `.${name}.sha256`);
  const wanted = fingerprint(sources, version);
  if (!force && existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return 'current';
  mkdirSync(out, { recursive: true });
  const staged = join(out, `.${name}.${process.pid}`);
  try {
    execFileSync(compiler, [...FLAGS, '-o', staged, ...units], { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' });
    renameSync(staged, target);
    writeFileSync(stamp, wanted);
  } catch (error) {
    rmSync(staged, { force: true });
    throw new BuildError(`${name} does not compile:\n${error.stderr || error.message}`);
  }
  return 'built';
}

function parse(words) {
  const options = { out: join(ROOT, 'dist/native'), force: false, names: [] };
  for (let at = 0; at < words.length; at++) {
    if (words[at] === '--force') options.force = true;
    else if (words[at] === '--out' && words[at + 1]) options.out = resolve(words[++at]);
    else if (words[at] in PROGRAMS) options.names.push(words[at]);
    else throw new BuildError(`unknown argument "${words[at]}"; programs: ${Object.keys(PROGRAMS).join(', ')}`);
  }
  if (options.names.length === 0) options.names = Object.keys(PROGRAMS);
  return options;
}

try {
  const { out, force, names } = parse(process.argv.slice(2));
  const compiler = process.env.CC || 'cc';
  const version = compilerVersion(compiler);
  for (const name of names) console.log(`${name}: ${build(name, { out, compiler, version, force })}`);
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(`native build: ${error.message}`);
  process.exitCode = 1;
}
