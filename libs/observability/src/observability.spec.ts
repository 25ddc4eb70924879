import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isId, type Logger } from '#kernel';
import { httpLoggerParams, requestIdOf } from './http-logging.js';
import { assignLogContext, withLogContext } from './log-context.js';
import { createLogger } from './logger.js';
import { createMetrics } from './metrics.js';

function recorder() {
  const text: string[] = [];
  const logger = createLogger({ name: 'test', level: 'debug', destination: { write: (line) => void text.push(line) } });
  return { logger, text, lines: () => text.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('logger', () => {
  it('takes secrets out, by field and by form', () => {
    const { logger, text } = recorder();
    const plain: Logger = logger;
    plain.info({ req: { headers: { authorization: 'Bearer SECRET-SECRET', cookie: 'SECRET' } }, password: 'SECRET', nested: { token: 'SECRET' } }, 'a');
    plain.warn({ note: 'the key sbk_SECRETabc_-9 came' }, 'with Authorization: Bearer SECRETSECRET and /logs?ticket=SECRET&x=1 tkt_SECRET');
    plain.error({ err: new Error('connect redis://user:SECRET@host') }, 'sbk_SECRET');
    logger.child({ of: 'sbk_SECRET' }).info('child');
    expect(text).toHaveLength(4);
    expect(text.join('')).not.toContain('SECRET');
    for (const line of text) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('carries the ids of its context, also asynchronously', async () => {
    const { logger, lines } = recorder();
    await withLogContext({ requestId: 'r1' }, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      assignLogContext({ tenantId: 't1' });
      withLogContext({ runId: 'run1' }, () => { logger.info('inner'); });
      logger.child({}).info('outer');
    });
    logger.info('none');
    expect(lines()).toMatchObject([{ requestId: 'r1', tenantId: 't1', runId: 'run1' }, { requestId: 'r1', tenantId: 't1' }, { msg: 'none' }]);
    expect(lines()[1]).not.toHaveProperty('runId');
    expect(lines()[2]).not.toHaveProperty('requestId');
  });
});

describe('request ids', () => {
  it('are taken from the caller only when harmless', () => {
    expect(requestIdOf({ 'x-request-id': 'abc-1.2_3' })).toBe('abc-1.2_3');
    for (const hostile of ['', 'a b', 'a\nb', 'x'.repeat(129), '"}']) expect(isId('request', requestIdOf({ 'x-request-id': hostile }))).toBe(true);
  });

  it('come back in the answer and stand in its line', async () => {
    const { logger, lines } = recorder();
    const { pinoHttp } = await import('pino-http');
    const middleware = pinoHttp(httpLoggerParams(logger).pinoHttp as Parameters<typeof pinoHttp>[0]);
    const server = createServer((request, response) => { middleware(request, response); response.end('ok'); });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const answer = await fetch(`${url}/v1/x?ticket=SECRET`, { headers: { 'x-request-id': 'mine', authorization: 'Bearer SECRET' } });
      expect(answer.headers.get('x-request-id')).toBe('mine');
      await (await fetch(`${url}/health/ready`)).text();
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    expect(lines()).toEqual([expect.objectContaining({ requestId: 'mine', req: { method: 'GET', url: '/v1/x?ticket=[redacted]' }, res: { statusCode: 200 }, responseTime: expect.any(Number) })]);
  });
});

describe('metrics', () => {
  it('count what happened, in a registry of their own', async () => {
    const [one, other] = [createMetrics('gateway'), createMetrics('worker')];
    one.runs.reached('succeeded');
    one.runs.spent('queue', 12);
    one.http.answered({ method: 'GET', route: '/v1/runs/:id', status: 200, milliseconds: 3 });
    one.queues.watch('runs', () => Promise.resolve({ waiting: 7, active: 2 }));
    other.queues.watch('runs', () => Promise.reject(new Error('Redis is away')));
    const text = await one.registry.metrics();
    expect(text).toContain('sandbar_runs_total{state="succeeded",app="gateway"} 1');
    expect(text).toContain('sandbar_run_phase_seconds_sum{app="gateway",phase="queue"} 0.012');
    expect(text).toContain('sandbar_runs_queue_jobs{state="waiting",app="gateway"} 7');
    expect(text).toContain('route="/v1/runs/:id"');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect(await other.registry.metrics()).not.toContain('sandbar_runs_total{state');
  });
});
