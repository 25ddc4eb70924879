export { embeddedBinaries, runsAsRoot, UNPRIVILEGED } from './embedded-binaries.js';
export { startPostgresServer, type PostgresServer } from './postgres-server.js';
export { startTestPostgres, type TestPostgres } from './test-postgres.js';
