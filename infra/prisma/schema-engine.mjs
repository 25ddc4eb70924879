import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';

export const root = join(import.meta.dirname, '..', '..');
const NO_FILTERS = { externalTables: [], externalEnums: [] };

const refuse = () => Promise.reject(new Error('this comparison has no database'));

/** Between two schema files the engine asks one thing only: which PostgreSQL it writes for. */
const connection = {
  provider: 'postgres',
  adapterName: 'no-database',
  getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: true }),
  queryRaw: ({ sql }) =>
    sql.includes('server_version_num')
      ? Promise.resolve({ columnNames: ['exists', 'version', 'numeric_version'], columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32], rows: [[true, 'PostgreSQL 17.0', 170000]] })
      : refuse(),
  executeRaw: refuse,
  executeScript: refuse,
  startTransaction: refuse,
  dispose: () => Promise.resolve(),
};
const noDatabase = { provider: 'postgres', adapterName: 'no-database', connect: async () => connection, connectToShadowDb: async () => connection };

const OID_CHAR = 18;
const OID_TEXT = 25;

/** The catalogs have columns of the one-byte type "char". The engine wants them, and Prisma's adapter does not know the type. */
class CatalogAdapter extends PrismaPg {
  async connect() {
    const adapter = await super.connect();
    const pool = adapter.underlyingDriver();
    let charColumns = [];
    const query = pool.query.bind(pool);
    pool.query = async (...request) => {
      const result = await query(...request);
      charColumns = result.fields.map((field) => field.dataTypeID === OID_CHAR);
      for (const field of result.fields) if (field.dataTypeID === OID_CHAR) field.dataTypeID = OID_TEXT;
      return result;
    };
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (request) => {
      const result = await queryRaw(request);
      return { ...result, columnTypes: result.columnTypes.map((type, index) => (charColumns[index] ? ColumnTypeEnum.Character : type)) };
    };
    return adapter;
  }
}

globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => console.error(message) };

/** The package is made for bundlers that know how to import .wasm: this does by hand what they would do. */
async function instantiate() {
  const path = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm').replace(/schema_engine\.js$/, 'schema_engine_bg.wasm');
  const module = new WebAssembly.Module(readFileSync(path));
  const imports = Object.fromEntries(WebAssembly.Module.imports(module).map(({ module: from }) => [from, bindings]));
  const instance = new WebAssembly.Instance(module, imports);
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return bindings.SchemaEngine;
}

export const schemaFile = (text) => ({ tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: text }] });

/** The database that `diff` is connected to; of `schema` only the kind of database is read. */
export const databaseAsItIs = (schema) => ({ tag: 'schemaDatasource', configDir: root, files: schema.files });

/**
 * The SQL that leads from one schema to another: `{ tag: 'empty' }`, `schemaFile(text)`, or
 * `databaseAsItIs(schema)` for what is behind `databaseUrl` (only then a connection is made).
 */
export async function diff({ from, to, databaseUrl }) {
  const SchemaEngine = await instantiate();
  const pool = databaseUrl === undefined ? undefined : new pg.Pool({ connectionString: databaseUrl });
  const adapter = bindMigrationAwareSqlAdapterFactory(pool === undefined ? noDatabase : new CatalogAdapter(pool));
  const datamodels = [from, to].flatMap((side) => (side.files ?? []).map(({ path, content }) => [path, content]));
  const engine = await SchemaEngine.new({ datamodels: datamodels.slice(-1) }, () => undefined, adapter);
  try {
    const result = await engine.diff({ from, to, script: true, exitCode: true, filters: NO_FILTERS });
    return result.stdout ?? '';
  } finally {
    engine.free();
    await pool?.end();
  }
}
