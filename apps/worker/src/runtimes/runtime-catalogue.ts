import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeDefinitionSchema, type RuntimeDefinition } from '#contracts';
import { CodedError, asError, digestOf, errnoOf, type Digest } from '#kernel';

/** The languages that this installation offers, each defined by one file `<name>.json`. */
export class RuntimeCatalogue {
  private readonly byName = new Map<string, RuntimeDefinition>();

  private constructor(readonly definitions: readonly RuntimeDefinition[]) {
    for (const definition of definitions) {
      for (const name of namesOf(definition)) this.byName.set(name, definition);
    }
  }

  /** Reads every file of a folder. @throws CodedError `failed_precondition` that names all faults, each with its file and field */
  static async load(folder: string): Promise<RuntimeCatalogue> {
    const faults: string[] = [];
    const definitions: RuntimeDefinition[] = [];
    for (const file of await filesIn(folder)) {
      const result = parseDefinition(await readFile(join(folder, file), 'utf8'), file);
      faults.push(...result.faults);
      if (result.definition) definitions.push(result.definition);
    }
    faults.push(...clashes(definitions));
    if (definitions.length === 0 && faults.length === 0) faults.push('no definition file (*.json) is there');
    if (faults.length > 0) throw new CodedError('failed_precondition', `the runtime definitions in ${folder} have faults: ${faults.join('; ')}`, { folder, faults });
    return new RuntimeCatalogue(definitions);
  }

  /** By name or alias. */
  find(name: string): RuntimeDefinition | undefined {
    return this.byName.get(name);
  }
}

/** Names one definition in all its details: what was installed for another is not this one. */
export function definitionDigest(definition: RuntimeDefinition): Digest {
  return digestOf(JSON.stringify(canonical(definition)));
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((file) => file.endsWith('.json')).sort();
  } catch (error) {
    throw new CodedError('failed_precondition', `the folder of runtime definitions cannot be read (${errnoOf(error) ?? 'unknown'}): ${folder}`, { folder }, { cause: error });
  }
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
  if (file !== `${result.data.name}.json`) faults.push(`${file}: name: is ${result.data.name}, but the file must be called ${result.data.name}.json`);
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
      if (owner !== undefined) faults.push(`${definition.name}.json: aliases: ${name} is taken by ${owner}.json`);
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
