/** Root: a test names its project by its file name. Each project says what may stand around the code under test. */
const base = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest'] },
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^#(kernel|contracts|engine|persistence|queue|config|observability|sdk|testing)$': '<rootDir>/libs/$1/src/index.ts',
  },
  // Real processes, sockets and kernels: what passes only at its second try is named at the end of the run.
  setupFilesAfterEnv: ['<rootDir>/infra/jest/second-try.js'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
};

export default {
  // Real processes on a busy machine: a test that hangs is ended, a slow one is not.
  testTimeout: 30_000,
  // A suite whose set-up failed may leave connections open: the run ends all the same, with its failure.
  forceExit: true,
  reporters: ['default', '<rootDir>/infra/jest/closing-line-reporter.js'],
  projects: [
    // Nothing but a temporary folder.
    { ...base, displayName: 'unit', testMatch: ['<rootDir>/{apps,libs,infra,test}/**/*.spec.ts'], testPathIgnorePatterns: ['/node_modules/', '/test/(e2e|security)/'] },
    // Real PostgreSQL and Redis.
    { ...base, displayName: 'integration', testMatch: ['<rootDir>/{apps,libs,infra}/**/*.int-spec.ts'] },
    // Real kernel features: mounts, cgroups, name spaces.
    { ...base, displayName: 'root', testMatch: ['<rootDir>/{apps,libs,infra}/**/*.root-spec.ts'] },
    // Real processes, spoken to over HTTP, WebSocket and the command line only.
    { ...base, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.e2e-spec.ts'] },
    { ...base, displayName: 'security', testMatch: ['<rootDir>/test/security/**/*.spec.ts'] },
  ],
};
