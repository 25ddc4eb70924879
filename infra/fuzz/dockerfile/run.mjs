#!/usr/bin/env node
/**
 * Fuzzes what is done with a Dockerfile before anything is built: parser, checks, plan, expansion. usage: run.mjs [SECONDS] [SEED]
 * Begins with the cases of test/conformance/dockerfile and goes on from what reaches new code (V8's own counters). Ends with an error, and keeps the input, when
 * anything comes out but a plan or a fault with its place, or when one input takes longer than two seconds. Needs `npm run build`.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';

const [seconds = 60, seed = 1] = process.argv.slice(2).map(Number);
const root = join(import.meta.dirname, '../../..');
const built = join(root, 'dist/libs/engine/src/builder');
const out = join(root, 'dist/fuzz/dockerfile');
const load = (file) => import(join(built, file));
const { parseDockerfile } = await load('dockerfile/dockerfile.js');
const { lintPolicy } = await load('lint/check-directive.js');
const { lintDockerfile } = await load('lint/lint.js');
const { DeclaredArguments, platformArguments } = await load('stages/build-arguments.js');
const { planStages } = await load('stages/stage-graph.js');
const { StageState } = await load('stages/stage-state.js');

const HERE = { os: 'linux', architecture: 'amd64' };
const platformArgs = platformArguments(HERE, HERE);
const WORDS = ['FROM ', 'ARG ', 'RUN ', 'COPY ', 'ONBUILD ', '--mount=type=', '--from=', '<<EOF', '\nEOF\n', '\\\n', '\n', '"', "'", '[', ']', '${', '}', ':-', '/', '#', '# escape=`\n', '# check=error=true\n', '$', '=', '\0', '\u{d800}', '\ufeff', '\r\n', ' '];
const BATCH = 100;
const SLOW_MS = 2000;
const MAX_LENGTH = 4096;

function run(text) {
  try {
    const dockerfile = parseDockerfile(text);
    lintDockerfile(dockerfile, { policy: lintPolicy(dockerfile.directives.check), platformArgs });
    const { target, metaArguments } = planStages(dockerfile, { buildArgs: new Map(), platformArgs });
    const state = new StageState({ config: {}, author: '', args: new DeclaredArguments(new Map(), new Map([...platformArgs, ...metaArguments])), escape: dockerfile.directives.escape });
    for (const instruction of target.stage.instructions) state.step(instruction);
  } catch (error) {
    const { code, details } = error;
    if (code === 'resource_exhausted' || (code === 'invalid_argument' && Number.isInteger(details.line) && Number.isInteger(details.column))) return;
    throw error;
  }
}

/** Marsaglia's xorshift: the same seed finds the same things. */
let state = seed >>> 0 || 1;
function below(limit) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

function mutated(corpus) {
  let text = corpus[below(corpus.length)];
  for (let times = 1 + below(4); times > 0; times -= 1) {
    const at = below(text.length + 1);
    const end = Math.min(text.length, at + below(16));
    switch (below(5)) {
      case 0: text = text.slice(0, at) + WORDS[below(WORDS.length)] + text.slice(at); break;
      case 1: text = text.slice(0, at) + text.slice(end); break;
      case 2: text = text.slice(0, end) + text.slice(at); break;
      case 3: text = text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(end); break;
      default: { const other = corpus[below(corpus.length)]; text = text.slice(0, at) + other.slice(below(other.length + 1)); }
    }
  }
  return text.slice(0, MAX_LENGTH);
}

const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
const reached = new Set();
/** Whether anything ran that had not run before. */
async function isNew() {
  const { result } = await session.post('Profiler.takePreciseCoverage');
  const before = reached.size;
  for (const { url, functions } of result) if (url.includes('/engine/src/builder/')) for (const { ranges } of functions) for (const { startOffset, endOffset, count } of ranges) if (count > 0) reached.add(`${url}:${startOffset}:${endOffset}`);
  return reached.size > before;
}

const cases = join(root, 'test/conformance/dockerfile');
const corpus = readdirSync(cases).map((name) => readFileSync(join(cases, name, 'Dockerfile'), 'utf8'));
let inputs = 0;
function attempt(text) {
  const began = performance.now();
  inputs += 1;
  try {
    run(text);
    if (performance.now() - began > SLOW_MS) throw new Error(`took ${Math.round(performance.now() - began)} ms`);
  } catch (error) {
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'finding'), text);
    console.error(error, `\nkept in ${join(out, 'finding')}`);
    process.exit(1);
  }
}

for (const text of corpus) attempt(text);
await isNew();
for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
  const batch = Array.from({ length: BATCH }, () => mutated(corpus));
  for (const text of batch) attempt(text);
  if (await isNew()) corpus.push(...batch);
}
console.log(`${inputs} inputs, ${corpus.length} kept, ${reached.size} pieces of code reached, no finding`);
