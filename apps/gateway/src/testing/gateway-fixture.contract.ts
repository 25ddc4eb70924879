import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CreatedApiKey, RunView, Scope, TenantLimits, TenantView } from '#contracts';
import { newId, silentLogger, type Clock, type Logger } from '#kernel';
import { startTestPostgres, startTestRedis, type TestRedis } from '#testing';
import { newKeySecret } from '../auth/api-key-secret.js';
import { closeGateway, createGateway } from '../gateway.js';
import { openPlatform } from '../platform/open-platform.js';
import type { Platform } from '../platform/platform.js';
import type { DockerBackends } from '../protocols/docker/docker-backends.js';
import { DEFAULT_SETTINGS, type GatewaySettings } from '../platform/settings.js';
import { NODE_TOKEN, SimulatedNode, type Behaviour } from './simulated-node.contract.js';

/** The time of day, which tests move forward. */
export class MovableClock implements Clock {
  offset = 0;
  now = (): number => Date.now() + this.offset;
  monotonicMs = (): number => performance.now() + this.offset;
}

export interface Answer<T = unknown> {
  readonly status: number;
  readonly body: T;
  readonly headers: Headers;
}

export interface Fixture {
  readonly app: NestFastifyApplication;
  readonly url: string;
  readonly platform: Platform;
  readonly redis: TestRedis;
  readonly clock: MovableClock;
  readonly adminKey: string;
  call<T = unknown>(key: string | undefined, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  tenant(limits?: Partial<TenantLimits>, scopes?: readonly Scope[]): Promise<{ id: string; key: string; keyId: string }>;
  node(behaviour?: Behaviour): Promise<SimulatedNode>;
  untilState(key: string, runId: string, state: string): Promise<RunView>;
  stop(): Promise<void>;
}

export interface FixtureOptions {
  readonly settings?: Partial<GatewaySettings>;
  readonly logger?: Logger;
  readonly appendOnly?: boolean;
  readonly docker?: DockerBackends;
}

/** A real gateway on a real PostgreSQL and Redis. Its reconciler rests; tests call its rounds. */
export async function startFixture({ settings = {}, logger = silentLogger, appendOnly = false, docker }: FixtureOptions = {}): Promise<Fixture> {
  const postgres = await startTestPostgres();
  const redis = await startTestRedis({ appendOnly });
  const { platform, close } = await openPlatform({ databaseUrl: postgres.url, redis: { ...redis.options, db: 0 } }, logger).then((opened) => ({ platform: opened.platform, close: () => opened.close() }));
  const clock = new MovableClock();
  const app = await createGateway({ platform, logger, clock, ...(docker === undefined ? {} : { docker }), settings: { ...DEFAULT_SETTINGS, nodeRpcToken: NODE_TOKEN, reconcileIntervalMs: 3_600_000, logGraceSeconds: 30, ...settings } });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const url = await app.getUrl();
  const nodes: SimulatedNode[] = [];
  const admin = newKeySecret();
  await platform.repositories.apiKeys.create(null, { id: newId('apiKey'), tenantId: null, name: 'admin', prefix: admin.prefix, hash: admin.hash, scopes: ['admin'], createdAt: new Date(), expiresAt: null, lastUsedAt: null, revokedAt: null });

  const call = async <T>(key: string | undefined, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer<T>> => {
    const response = await fetch(url + path, {
      method,
      headers: { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = (response.headers.get('content-type') ?? '').startsWith('application/json');
    return { status: response.status, body: (json ? JSON.parse(text) : text) as T, headers: response.headers };
  };

  return {
    app,
    url,
    platform,
    redis,
    clock,
    adminKey: admin.secret,
    call,
    tenant: async (limits = {}, scopes) => {
      const name = `t${newId('tenant').slice(-20)}`;
      const tenant = await call<TenantView>(admin.secret, 'POST', '/v1/tenants', { name, limits });
      const key = await call<CreatedApiKey>(admin.secret, 'POST', `/v1/tenants/${tenant.body.id}/keys`, { name: 'k', ...(scopes === undefined ? {} : { scopes }) });
      return { id: tenant.body.id, key: key.body.key, keyId: key.body.id };
    },
    node: async (behaviour) => {
      const node = await SimulatedNode.start(redis.options, behaviour === undefined ? {} : { behaviour });
      node.redisOptions = redis.options;
      nodes.push(node);
      // The catalogue may have been read just before.
      clock.offset += 1_001;
      return node;
    },
    untilState: async (key, runId, state) => {
      for (let tries = 0; tries < 200; tries += 1) {
        const { body } = await call<RunView>(key, 'GET', `/v1/runs/${runId}`);
        if (body.state === state) return body;
        await sleep(25);
      }
      throw new Error(`${runId} did not become ${state}`);
    },
    stop: async () => {
      for (const node of nodes) await node.stop().catch(() => undefined);
      await closeGateway(app);
      await close();
      await redis.stop();
      await postgres.stop();
    },
  };
}
