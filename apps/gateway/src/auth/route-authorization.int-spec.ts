import { ModulesContainer } from '@nestjs/core';
import { TENANT_SCOPES, type ErrorBody, type Scope } from '#contracts';
import { newId } from '#kernel';
import { RouteTable } from '../protocols/rest/route-table.js';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import type { Permission } from './caller.js';
import { assertEveryRouteDecides, listRoutePermissions } from './route-permissions.js';

import { DOCKER_TABLE } from '../protocols/docker/docker-routes.contract.js';

/** Who may call what. A route that is not here fails the suite, and so does a line without a route. */
const TABLE: Readonly<Record<string, Permission>> = {
  'GET /': 'public',
  'GET /health/live': 'public',
  'GET /health/ready': 'public',
  'GET /metrics': 'public',
  'GET /v1/me': 'any',
  'GET /v1/runtimes': 'any',
  'POST /v1/runtimes/:name/install': 'admin',
  'GET /v1/runtimes/:name/install': 'admin',
  'POST /v1/runs': 'runs:write',
  'GET /v1/runs': 'runs:read',
  'GET /v1/runs/:id': 'runs:read',
  'POST /v1/runs/:id/cancel': 'runs:write',
  'POST /v1/runs/:id/stdin': 'runs:write',
  'GET /v1/runs/:id/logs': 'runs:read',
  'GET /v1/images': 'host:read',
  'GET /v1/images/archive': 'host:read',
  'GET /v1/images/:ref': 'host:read',
  'GET /v1/images/:ref/history': 'host:read',
  'POST /v1/images/:ref/tags': 'host:write',
  'DELETE /v1/images/:ref': 'host:write',
  'POST /v1/images/commit': 'host:write',
  'POST /v1/images/import': 'host:write',
  'POST /v1/images/load': 'host:write',
  'POST /v1/images/prune': 'host:write',
  'POST /v1/images/pull': 'host:write',
  'POST /v1/images/push': 'host:write',
  'GET /v1/volumes': 'host:read',
  'POST /v1/volumes': 'host:write',
  'POST /v1/volumes/prune': 'host:write',
  'GET /v1/volumes/:name': 'host:read',
  'DELETE /v1/volumes/:name': 'host:write',
  'GET /v1/volumes/:name/archive': 'host:read',
  'PUT /v1/volumes/:name/archive': 'host:write',
  'GET /v1/networks': 'host:read',
  'POST /v1/networks': 'host:write',
  'POST /v1/networks/prune': 'host:write',
  'GET /v1/networks/:ref': 'host:read',
  'DELETE /v1/networks/:ref': 'host:write',
  'POST /v1/networks/:ref/connect': 'host:write',
  'POST /v1/networks/:ref/disconnect': 'host:write',
  'POST /v1/sandboxes': 'host:write',
  'GET /v1/sandboxes': 'host:read',
  'GET /v1/sandboxes/:id': 'host:read',
  'DELETE /v1/sandboxes/:id': 'host:write',
  'POST /v1/sandboxes/:id/start': 'host:write',
  'POST /v1/sandboxes/:id/stop': 'host:write',
  'POST /v1/sandboxes/:id/restart': 'host:write',
  'POST /v1/sandboxes/:id/kill': 'host:write',
  'POST /v1/sandboxes/:id/pause': 'host:write',
  'POST /v1/sandboxes/:id/resume': 'host:write',
  'GET /v1/sandboxes/:id/wait': 'host:read',
  'PATCH /v1/sandboxes/:id': 'host:write',
  'GET /v1/sandboxes/:id/stats': 'host:read',
  'GET /v1/events': 'host:read',
  'POST /v1/sandboxes/:id/exec': 'host:write',
  'GET /v1/sandboxes/:id/exec': 'host:read',
  'GET /v1/sandboxes/:id/exec/:execId': 'host:read',
  'POST /v1/sandboxes/:id/exec/:execId/signal': 'host:write',
  'POST /v1/sandboxes/:id/exec/:execId/resize': 'host:write',
  'POST /v1/sandboxes/:id/exec/:execId/stdin': 'host:write',
  'GET /v1/sandboxes/:id/exec/:execId/output': 'host:read',
  'GET /v1/sandboxes/:id/logs': 'host:read',
  'GET /v1/disk-usage': 'host:read',
  'GET /v1/sandboxes/:id/files': 'host:read',
  'DELETE /v1/sandboxes/:id/files': 'host:write',
  'POST /v1/sandboxes/:id/files/directories': 'host:write',
  'POST /v1/sandboxes/:id/files/moves': 'host:write',
  'GET /v1/sandboxes/:id/files/content': 'host:read',
  'PUT /v1/sandboxes/:id/files/content': 'host:write',
  'GET /v1/sandboxes/:id/files/archive': 'host:read',
  'PUT /v1/sandboxes/:id/files/archive': 'host:write',
  'POST /v1/builds': 'host:write',
  'GET /v1/builds': 'host:read',
  'GET /v1/builds/:id': 'host:read',
  'POST /v1/builds/:id/cancel': 'host:write',
  'GET /v1/builds/:id/logs': 'host:read',
  'POST /v1/build-sources': 'host:write',
  'GET /v1/build-sources': 'host:read',
  'GET /v1/build-sources/:ref': 'host:read',
  'PATCH /v1/build-sources/:ref': 'host:write',
  'DELETE /v1/build-sources/:ref': 'host:write',
  'POST /v1/build-sources/:ref/secret': 'host:write',
  'POST /v1/build-sources/:ref/builds': 'host:write',
  'GET /v1/build-sources/:ref/deliveries': 'host:read',
  'POST /v1/webhooks/:hook': 'public',
  'GET /v1/operations': 'host:read',
  'GET /v1/operations/:id': 'host:read',
  'POST /v1/operations/:id/cancel': 'host:write',
  'GET /v1/operations/:id/progress': 'host:read',
  'POST /v1/tickets': 'runs:read',
  'POST /v1/keys': 'keys:write',
  'GET /v1/keys': 'keys:read',
  'DELETE /v1/keys/:id': 'keys:write',
  'POST /v1/tenants': 'admin',
  'GET /v1/tenants': 'admin',
  'GET /v1/tenants/:id': 'admin',
  'PATCH /v1/tenants/:id': 'admin',
  'DELETE /v1/tenants/:id': 'admin',
  'POST /v1/tenants/:id/keys': 'admin',
  'GET /v1/tenants/:id/keys': 'admin',
  'DELETE /v1/tenants/:id/keys/:keyId': 'admin',
  'GET /v1/certificate-authority': 'public',
  'POST /v1/me/certificate': 'any',
  ...DOCKER_TABLE,
};

/** Served by the OpenAPI page, not by a controller: the document and its static files. */
const DOCS = /^\/docs(\/|-|$)/;
/** Docker's have words of their own: protocols/docker/docker-authorization.int-spec.ts. */
const KEYED = Object.entries(TABLE).filter(([route, permission]) => permission !== 'public' && !(route in DOCKER_TABLE));

describe('who may call what', () => {
  let gateway: Fixture;
  const keys = new Map<Scope, string>();

  beforeAll(async () => {
    gateway = await startFixture({ settings: { failedAuthenticationsPerMinute: 10_000 } });
    for (const scope of TENANT_SCOPES) keys.set(scope, (await gateway.tenant({}, [scope])).key);
    keys.set('admin', gateway.adminKey);
  }, 60_000);
  afterAll(() => gateway.stop());

  it('has a line for every route of the server, and a route for every line', () => {
    const served = gateway.app.get(RouteTable, { strict: false }).all();
    const routes = served.filter(({ method, path }) => method !== 'HEAD' && method !== 'OPTIONS' && !DOCS.test(path)).map(({ method, path }) => `${method} ${path}`);
    expect([...new Set(routes)].sort()).toEqual(Object.keys(TABLE).filter((route) => !route.startsWith('HEAD ')).sort());
  });

  it('says of every route what its decorator says', () => {
    const declared = listRoutePermissions(gateway.app.get(ModulesContainer));
    expect(Object.fromEntries(declared.map(({ method, path, permission }) => [`${method} ${path}`, permission]))).toEqual(TABLE);
  });

  it('does not start with a route that says nothing', () => {
    expect(() => { assertEveryRouteDecides([{ method: 'GET', path: '/v1/x', handler: 'X.y', permission: undefined }]); }).toThrow(/GET \/v1\/x \(X\.y\)/);
  });

  const pathOf = (route: string): [string, string] => {
    const [method = '', path = ''] = route.split(' ');
    return [method, path.replace(':keyId', newId('apiKey')).replace(':id', newId(path.includes('tenants') ? 'tenant' : 'run'))];
  };
  const bodyOf = (method: string): object | undefined => (method === 'GET' || method === 'DELETE' ? undefined : {});

  it.each(KEYED)('%s refuses who shows no key', async (route) => {
    const [method, path] = pathOf(route);
    expect((await gateway.call(undefined, method, path, bodyOf(method))).status).toBe(401);
  });

  it.each(KEYED)('%s refuses no key, a wrong key and a malformed one alike', async (route) => {
    const [method, path] = pathOf(route);
    const bodies: unknown[] = [];
    for (const key of [undefined, `sbk_${'x'.repeat(43)}`, 'nonsense']) {
      const { status, body, headers } = await gateway.call<ErrorBody>(key, method, path, bodyOf(method));
      expect({ status, header: headers.get('www-authenticate') }).toEqual({ status: 401, header: 'Bearer realm="sandbar"' });
      bodies.push({ ...body.error, requestId: '' });
    }
    expect(bodies[1]).toEqual(bodies[0]);
    expect(bodies[2]).toEqual(bodies[0]);
  });

  it.each(KEYED)('%s needs %s and nothing else', async (route, permission) => {
    const [method, path] = pathOf(route);
    for (const [scope, key] of keys) {
      const { status, body } = await gateway.call<ErrorBody>(key, method, path, bodyOf(method));
      const refused = status === 403 && body.error.code === 'permission_denied';
      expect({ scope, refused }).toEqual({ scope, refused: permission !== 'any' && scope !== permission });
    }
  });
});
