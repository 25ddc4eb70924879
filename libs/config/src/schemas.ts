import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { engineVariables, gatewayVariables, workerVariables } from './variables.js';

/** Environment variables of the gateway → its configuration. Units stand in the names. */
export const gatewayConfigSchema = z.object(gatewayVariables).transform((env) => ({
  host: env.SANDBAR_HOST,
  port: env.SANDBAR_PORT,
  tlsAuthority: env.SANDBAR_TLS_AUTHORITY,
  tlsNames: env.SANDBAR_TLS_NAMES,
  databaseUrl: env.DATABASE_URL,
  redis: env.REDIS_URL,
  nodeRpcToken: env.SANDBAR_NODE_RPC_TOKEN,
  logLevel: env.SANDBAR_LOG_LEVEL,
  metricsToken: env.SANDBAR_METRICS_TOKEN,
  shutdownGraceMs: env.SANDBAR_SHUTDOWN_GRACE,
  bodyLimitBytes: env.SANDBAR_BODY_LIMIT,
  runRetentionMs: env.SANDBAR_RUN_RETENTION,
  logGraceMs: env.SANDBAR_LOG_GRACE,
}));
export type GatewayConfig = Readonly<z.output<typeof gatewayConfigSchema>>;

/** Environment variables of whoever works with the engine → its configuration. */
export const engineConfigSchema = z.object(engineVariables).transform(engineConfig);
export type EngineConfig = Readonly<z.output<typeof engineConfigSchema>>;

/** Environment variables of the worker → its configuration. */
export const workerConfigSchema = z.object(workerVariables).transform((env) => ({
  ...engineConfig(env),
  nodeId: env.SANDBAR_NODE_ID,
  nodeRpcListen: env.SANDBAR_NODE_RPC_LISTEN,
  nodeRpcToken: env.SANDBAR_NODE_RPC_TOKEN,
  nodeRpcGroup: env.SANDBAR_NODE_RPC_GROUP,
  nodeConcurrency: env.SANDBAR_NODE_CONCURRENCY,
  redis: env.REDIS_URL,
  logLevel: env.SANDBAR_LOG_LEVEL,
  metricsToken: env.SANDBAR_METRICS_TOKEN,
  shutdownGraceMs: env.SANDBAR_SHUTDOWN_GRACE,
}));
export type WorkerConfig = Readonly<z.output<typeof workerConfigSchema>>;

function engineConfig(env: z.output<z.ZodObject<typeof engineVariables>>) {
  return {
    dataDir: env.SANDBAR_DATA_DIR,
    ociRuntime: env.SANDBAR_OCI_RUNTIME,
    cgroupRoot: env.SANDBAR_CGROUP_ROOT,
    registries: { insecure: env.SANDBAR_INSECURE_REGISTRIES, privateHosts: env.SANDBAR_PRIVATE_REGISTRIES, mirrors: env.SANDBAR_REGISTRY_MIRRORS },
    publish: { address: env.SANDBAR_PUBLISH_ADDRESS, ports: env.SANDBAR_PUBLISH_PORTS },
    egressAllow: env.SANDBAR_EGRESS_ALLOW,
    dnsServers: env.SANDBAR_DNS_SERVERS,
    nativeDir: env.SANDBAR_NATIVE_DIR ?? join(installationRoot(), 'dist', 'native'),
  };
}

/** The folder of package.json: this file runs from libs/ in tests and from dist/libs/ otherwise. */
function installationRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}
