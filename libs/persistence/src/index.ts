export * from './build-sources.js';
export * from './builds.js';
export * from './repositories.js';
export { openRepositories, type OpenRepositoriesOptions } from './open-repositories.js';
export { migrate, type MigrationReport } from './migrate.js';
export { dropDatabase, ensureDatabase, withDatabase } from './databases.js';
export { canonicalJson } from './canonical-json.js';
