import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFixture, type Fixture, type FixtureOptions } from '../../testing/gateway-fixture.contract.js';
import { MemoryHosts, MemoryOperations, type MemoryHost } from '../../testing/virtual-hosts.contract.js';

export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface DockerFixture {
  readonly gateway: Fixture;
  readonly operations: MemoryOperations;
  readonly key: string;
  readonly host: MemoryHost;
  readonly hosts: MemoryHosts;
  /** The real CLI, as the fixture's tenant. */
  docker(...args: string[]): Promise<CliResult>;
  cli(args: readonly string[], options: { readonly env?: Record<string, string>; readonly input?: Buffer }): Promise<CliResult>;
  stop(): Promise<void>;
}

/** A gateway whose tenants' hosts are in memory. */
export async function startDockerFixture(options: FixtureOptions = {}): Promise<DockerFixture> {
  const hosts = new MemoryHosts();
  const operations = new MemoryOperations(hosts);
  const gateway = await startFixture({ ...options, docker: { hosts, operations } });
  const tenant = await gateway.tenant({ requestsPerSecond: 1000, requestBurst: 2000 });
  const config = mkdtempSync(join(tmpdir(), 'docker-config-'));
  const cli: DockerFixture['cli'] = (args, { env = {}, input }) =>
    new Promise((resolve) => {
      const child = execFile('docker', [...args], { timeout: 20_000, maxBuffer: 64 * 1024 * 1024, env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: config, DOCKER_CONFIG: config, ...env } }, (error, out, err) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 255, out, err });
      });
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  const environment = { DOCKER_HOST: gateway.url.replace('http:', 'tcp:'), DOCKER_CUSTOM_HEADERS: `"Authorization=Bearer ${tenant.key}"` };
  return {
    gateway,
    operations,
    key: tenant.key,
    host: hosts.memory(tenant.id),
    hosts,
    docker: (...args) => cli(args, { env: environment }),
    cli: (args, { env, input }) => cli(args, { env: { ...environment, ...env }, ...(input === undefined ? {} : { input }) }),
    stop: async () => {
      await gateway.stop();
      rmSync(config, { recursive: true, force: true });
    },
  };
}
