import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeDefinitionSchema, type RuntimeDefinition } from '#contracts';
import { CodedError, asError, digestOf, errnoOf, isCodedError, type Digest } from '#kernel';
import { RuntimeFiles } from './runtime-files.js';

const DEFINITION = 'runtime.json';

/** Beside the built program, `dist/apps/worker/src/runtimes/`, as beside its source. */
export function shippedDefinitions(): string {
  const root = import.meta.dirname.includes('/dist/') ? '../../../../..' : '../../../..';
  return join(import.meta.dirname, root, 'infra', 'runtimes');
}

/** A language as it is defined here. */
export interface DefinedRuntime {
  readonly definition: RuntimeDefinition;
  /** What its Dockerfile builds from. */
  readonly files: RuntimeFiles;
  /** Names definition and files in all their details: what was installed for another is not this one. */
  readonly digest: Digest;
}

/** The languages that this installation knows, each defined by a folder `<name>` with `runtime.json` and `Dockerfile`. */
export class RuntimeCatalogue {
  private readonly byName = new Map<string, DefinedRuntime>();

  private constructor(readonly runtimes: readonly DefinedRuntime[]) {
    for (const runtime of runtimes) {
      for (const name of namesOf(runtime.definition)) this.byName.set(name, runtime);
    }
  }

  /** Reads every folder of a folder. @throws CodedError `failed_precondition` that names all faults, each with its file and field */
  static async load(folder: string): Promise<RuntimeCatalogue> {
    const faults: string[] = [];
    const runtimes: DefinedRuntime[] = [];
    for (const name of await foldersIn(folder)) {
      const result = await readRuntime(folder, name);
      faults.push(...result.faults);
      if (result.runtime) runtimes.push(result.runtime);
    }
    faults.push(...clashes(runtimes.map(({ definition }) => definition)));
    if (runtimes.length === 0 && faults.length === 0) faults.push('no folder with a runtime.json is there');
    if (faults.length > 0) throw new CodedError('failed_precondition', `the runtime definitions in ${folder} have faults: ${faults.join('; ')}`, { folder, faults });
    return new RuntimeCatalogue(runtimes);
  }

  /** By name or alias. */
  find(name: string): DefinedRuntime | undefined {
    return this.byName.get(name);
  }
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name).sort();
  } catch (error) {
    throw new CodedError('failed_precondition', `the folder of runtime definitions cannot be read (${errnoOf(error) ?? 'unknown'}): ${folder}`, { folder }, { cause: error });
  }
}

async function readRuntime(folder: string, name: string): Promise<{ runtime?: DefinedRuntime; faults: string[] }> {
  const file = `${name}/${DEFINITION}`;
  let text: string;
  let files: RuntimeFiles;
  try {
    text = await readFile(join(folder, name, DEFINITION), 'utf8');
    files = await RuntimeFiles.read(join(folder, name), (path) => path !== DEFINITION);
  } catch (error) {
    return { faults: [`${file}: ${isCodedError(error) ? error.message : `cannot be read (${errnoOf(error) ?? 'unknown'})`}`] };
  }
  const { definition, faults } = parseDefinition(text, file);
  if (definition !== undefined && definition.name !== name) faults.push(`${file}: name: is ${definition.name}, but the folder must be called ${definition.name}`);
  if (!files.has('Dockerfile')) faults.push(`${name}/Dockerfile: is missing`);
  if (definition === undefined) return { faults };
  return { faults, runtime: { definition, files, digest: digestOf(JSON.stringify([canonical(definition), files.digest])) } };
}

function parseDefinition(text: string, file: string): { definition?: RuntimeDefinition; faults: string[] } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { faults: [`${file}: not JSON (${asError(error).message})`] };
  }
  const result = runtimeDefinitionSchema.safeParse(value);
  if (!result.success) return { faults: result.error.issues.map((issue) => `${file}: ${issue.path.join('.') || 'the whole'}: ${issue.message}`) };
  const faults = inconsistencies(result.data).map((fault) => `${file}: ${fault}`);
  return { definition: result.data, faults };
}

/** What the fields say of each other. */
function inconsistencies(definition: RuntimeDefinition): string[] {
  const faults: string[] = [];
  const commands: [string, readonly string[]][] = [['run', definition.run]];
  if (definition.compile) commands.push(['compile.argv', definition.compile.argv]);
  for (const [field, argv] of commands) {
    for (const arg of argv) {
      const unknown = arg.match(/\{[a-zA-Z]+\}/g)?.find((placeholder) => placeholder !== '{main}' && placeholder !== '{sources}');
      if (unknown !== undefined) faults.push(`${field}: unknown placeholder ${unknown}`);
      if (arg.includes('{sources}') && arg !== '{sources}') faults.push(`${field}: {sources} must be an argument of its own`);
    }
    if (argv.includes('{sources}') && definition.sourceExtensions.length === 0) faults.push(`sourceExtensions: must not be empty, ${field} uses {sources}`);
  }
  if (definition.sourceExtensions.length > 0 && !definition.sourceExtensions.some((extension) => definition.mainFile.endsWith(extension))) {
    faults.push('mainFile: has none of sourceExtensions');
  }
  return faults;
}

function clashes(definitions: readonly RuntimeDefinition[]): string[] {
  const owners = new Map<string, string>();
  const faults: string[] = [];
  for (const definition of definitions) {
    for (const name of namesOf(definition)) {
      const owner = owners.get(name);
      if (owner !== undefined) faults.push(`${definition.name}/${DEFINITION}: aliases: ${name} is taken by ${owner}`);
      else owners.set(name, definition.name);
    }
  }
  return faults;
}

function namesOf(definition: RuntimeDefinition): string[] {
  return [definition.name, ...definition.aliases];
}

/** The same value with the keys of every object in order. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, canonical(inner)]),
  );
}
