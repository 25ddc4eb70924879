/** The dependency rule of docs/ARCHITECTURE.md. `infra/gates/boundaries.mjs` runs it, counts modules and proves that it fires. */
const TEST = '(\\.(spec|int-spec|root-spec|e2e-spec|contract)\\.ts$|^libs/testing/|^test/|^bench/)';
const ENGINE_ORDER = ['linux', 'tar', 'content', 'cgroups', 'events', 'disks', 'networks', 'tree', 'volumes', 'snapshots', 'images', 'registry-client', 'runtime', 'git', 'containers', 'builder'];
/** Components on one step of the ladder do not know each other. */
const ENGINE_RANK = { linux: 0, tar: 1, content: 1, cgroups: 1, events: 1, disks: 1, networks: 1, tree: 2, volumes: 3, snapshots: 3, images: 4, 'registry-client': 5, runtime: 5, git: 6, containers: 6, builder: 7 };

// The top step has nothing above or beside it: a rule without a path would match everything.
const engineLadder = ENGINE_ORDER.filter((component) => ENGINE_ORDER.some((other) => other !== component && ENGINE_RANK[other] >= ENGINE_RANK[component])).map((component) => ({
  name: `engine-${component}-stands-on-lower-ones`,
  severity: 'error',
  from: { path: `^libs/engine/src/${component}/`, pathNot: TEST },
  to: {
    path: ENGINE_ORDER.filter((other) => other !== component && ENGINE_RANK[other] >= ENGINE_RANK[component]).map((other) => `^libs/engine/src/${other}/`),
  },
}));

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: { pathNot: '^libs/persistence/src/generated/' }, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    { name: 'libs-never-import-apps', severity: 'error', from: { path: '^libs/' }, to: { path: '^apps/' } },
    { name: 'apps-do-not-know-each-other', severity: 'error', from: { path: '^apps/([^/]+)/' }, to: { path: '^apps/', pathNot: '^apps/$1/' } },
    { name: 'gateway-never-links-the-engine', severity: 'error', from: { path: '^apps/gateway/' }, to: { path: '^libs/engine/' } },
    { name: 'worker-never-links-the-database', severity: 'error', from: { path: '^apps/worker/' }, to: { path: '^libs/persistence/|node_modules/(@prisma|pg)/' } },
    { name: 'cli-speaks-only-the-api', severity: 'error', from: { path: '^apps/cli/', pathNot: TEST }, to: { path: '^libs/(engine|persistence|queue)/' } },
    { name: 'kernel-imports-nothing-of-ours', severity: 'error', from: { path: '^libs/kernel/', pathNot: TEST }, to: { path: '^(libs/(?!kernel/)|apps/)|node_modules/' } },
    { name: 'engine-imports-kernel-only', severity: 'error', from: { path: '^libs/engine/', pathNot: TEST }, to: { path: '^libs/(?!engine/|kernel/)|node_modules/(@nestjs|@prisma|pg|bullmq|ioredis|zod)/' } },
    { name: 'prisma-only-in-persistence', severity: 'error', from: { pathNot: '^libs/persistence/' }, to: { path: 'node_modules/(@prisma|pg)/|^libs/persistence/src/generated/' } },
    { name: 'production-never-imports-tests', severity: 'error', from: { pathNot: TEST }, to: { path: TEST } },
    {
      name: 'engine-components-meet-at-their-index',
      severity: 'error',
      from: { path: '^libs/engine/src/([^/]+)/', pathNot: TEST },
      to: { path: '^libs/engine/src/[^/]+/', pathNot: ['^libs/engine/src/$1/', '^libs/engine/src/[^/]+/index\\.ts$'] },
    },
    { name: 'libs-meet-at-their-index', severity: 'error', from: { path: '^(apps|libs)/([^/]+)/' }, to: { path: '^libs/[^/]+/', pathNot: ['^$1/$2/', '^libs/[^/]+/src/index\\.ts$'] } },
    ...engineLadder,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'require', 'node', 'default'], extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'] },
  },
};
