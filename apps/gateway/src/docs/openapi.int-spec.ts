import { ModulesContainer } from '@nestjs/core';
import { buildNowSchema, createBuildSchema, createBuildSourceSchema, updateBuildSourceSchema, commitContainerSchema, connectNetworkSchema, createNetworkSchema, disconnectNetworkSchema, createApiKeySchema, createCertificateSchema, createRunSchema, createSandboxSchema, updateSandboxSchema, createTenantSchema, createVolumeSchema, makeDirectorySchema, moveFileSchema, runStdinSchema, updateTenantSchema } from '#contracts';
import { listRoutePermissions } from '../auth/route-permissions.js';
import { DOCKER_TABLE } from '../protocols/docker/docker-routes.contract.js';
import { pruneNetworksSchema } from '../networks/network-requests.schema.js';
import { pruneImagesSchema, pullImageSchema, pushImageSchema, tagImageSchema } from '../images/image-requests.schema.js';
import { killSandboxSchema, stopSandboxSchema } from '../sandboxes/sandbox-requests.schema.js';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { pruneVolumesSchema } from '../volumes/volume-requests.schema.js';

interface Content { readonly content?: Record<string, { schema?: unknown; example?: unknown }> }
interface Operation { readonly summary?: string; readonly security?: unknown; readonly requestBody?: Content; readonly responses: Record<string, Content> }

const SCHEMAS = [buildNowSchema, createBuildSourceSchema, updateBuildSourceSchema, createBuildSchema, makeDirectorySchema, moveFileSchema, createSandboxSchema, updateSandboxSchema, stopSandboxSchema, killSandboxSchema, commitContainerSchema, connectNetworkSchema, createNetworkSchema, disconnectNetworkSchema, pruneNetworksSchema, createVolumeSchema, pruneImagesSchema, pruneVolumesSchema, pullImageSchema, pushImageSchema, tagImageSchema, createApiKeySchema, createCertificateSchema, createRunSchema, createTenantSchema, runStdinSchema, updateTenantSchema];
/** Not part of the API that clients program against. */
const LEFT_OUT = new Set(['GET /', 'GET /metrics']);

describe('the API document', () => {
  let gateway: Fixture;
  let operations: Map<string, Operation>;
  beforeAll(async () => {
    gateway = await startFixture();
    const { body } = await gateway.call<{ paths: Record<string, Record<string, Operation>> }>(undefined, 'GET', '/docs/json');
    operations = new Map(Object.entries(body.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const)));
  }, 60_000);
  afterAll(() => gateway.stop());

  it('has every route, and no other', () => {
    const routes = listRoutePermissions(gateway.app.get(ModulesContainer)).map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
    expect([...operations.keys()].sort()).toEqual(routes.filter((route) => !LEFT_OUT.has(route) && !(route.replace(/{(\w+)}/g, ':$1') in DOCKER_TABLE)).sort());
  });

  it('says of every route with a key how to show it, and how it refuses', () => {
    const permissions = new Map(listRoutePermissions(gateway.app.get(ModulesContainer)).map(({ method, path, permission }) => [`${method} ${path.replace(/:(\w+)/g, '{$1}')}`, permission]));
    for (const [route, { summary, security, responses, requestBody }] of operations) {
      expect({ route, summarised: (summary ?? '') !== '' }).toEqual({ route, summarised: true });
      if (permissions.get(route) === 'public') continue;
      expect({ route, security }).toEqual({ route, security: [{ apiKey: [] }] });
      const expected = ['400', '401', '403', '429', '503', ...(route.includes('{') ? ['404'] : []), ...(requestBody === undefined ? [] : ['408', '413', '415'])];
      expect({ route, statuses: Object.keys(responses) }).toEqual({ route, statuses: expect.arrayContaining(expected) });
      for (const [status, { content }] of Object.entries(responses)) {
        if (Number(status) < 400) continue;
        expect({ route, status, body: JSON.stringify(content?.['application/json']?.schema) }).toEqual({ route, status, body: expect.stringContaining('requestId') });
      }
    }
  });

  it('gives an example for every body, which its schema accepts', () => {
    for (const [route, { requestBody }] of operations) {
      if (requestBody === undefined) continue;
      const example = requestBody.content?.['application/json']?.example;
      expect({ route, accepted: SCHEMAS.some((schema) => schema.safeParse(example).success) }).toEqual({ route, accepted: true });
    }
  });

  it('describes readiness in both its answers', async () => {
    expect(Object.keys(operations.get('GET /health/ready')?.responses ?? {})).toEqual(['200', '503']);
    const { status, body } = await gateway.call(undefined, 'GET', '/health/ready');
    expect({ status, body }).toMatchObject({ status: 503, body: { status: 'unavailable', checks: { nodes: 'down', redis: 'up' } } });
  });
});
