import type { INestApplication } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CodedError } from '#kernel';
import type { BuildNow, CreateApiKey, CreateBuildInput, CreateBuildSourceInput, CreateRunInput, CreateSandboxInput, CreateTenant, RunStdin, UpdateBuildSource } from '#contracts';
import { carryOutAnnotations } from './annotations.js';

const DESCRIPTION = `Run code in fresh sandboxes, read what it prints, stop it. Keep sandboxes for as long as you like.

Every answer that is not a success has the body \`{ "error": { "code", "message", "details", "requestId" } }\`.
Clients may branch on \`code\`; \`requestId\` is also the header \`x-request-id\`.

\`\`\`
curl -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \\
  -d '{"runtime":"python","code":"print(6*7)"}' 'localhost:8080/v1/runs?wait=true'
\`\`\``;

/** The gateway gives its own. */
const OF_THE_CONNECTION = new Set(['connection', 'date', 'transfer-encoding', 'keep-alive']);

/**
 * OpenAPI from the schemas that check the requests: JSON at /docs/json, a page at /docs that needs no other host. What makes and serves it is brought in
 * by the first request.
 */
export function serveDocs(app: INestApplication, instance: FastifyInstance): void {
  let docs: Promise<FastifyInstance> | undefined;
  const serve = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    docs ??= openDocs(app);
    const { statusCode, headers, rawPayload } = await (await docs).inject({ method: 'GET', url: request.url, headers: request.headers });
    if (statusCode === 404) throw new CodedError('not_found', 'no such route: see /docs');
    const told = Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name));
    return reply.status(statusCode).headers(Object.fromEntries(told)).send(rawPayload);
  };
  for (const url of ['/docs', '/docs/*']) instance.get(url, serve);
}

/** An application of its own beside the gateway's, which takes no further routes once it listens. Nothing listens here. */
async function openDocs(app: INestApplication): Promise<FastifyInstance> {
  const documents = await import('@nestjs/swagger');
  carryOutAnnotations(documents);
  const { DocumentBuilder, SwaggerModule } = documents;
  const config = new DocumentBuilder()
    .setTitle('Sandbar')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'sbk_…', description: 'An API key.' }, 'apiKey')
    .build();
  const adapter = new FastifyAdapter();
  const served = Object.create(app, { getHttpAdapter: { value: () => adapter } }) as INestApplication;
  SwaggerModule.setup('docs', served, () => completed(SwaggerModule.createDocument(app, config)), {
    jsonDocumentUrl: 'docs/json',
    yamlDocumentUrl: 'docs/yaml',
    customSiteTitle: 'Sandbar API',
    swaggerOptions: { validatorUrl: null },
  });
  const instance: FastifyInstance = adapter.getInstance();
  await instance.ready();
  return instance;
}

/** A body of each route that takes one, as the page offers it to be tried. */
const EXAMPLES: Readonly<Record<string, object>> = {
  'post /v1/runs': { runtime: 'python', code: 'print(6*7)', limits: { wallTimeMs: 5000 } } satisfies Partial<Record<keyof CreateRunInput, unknown>>,
  'post /v1/runs/{id}/stdin': { data: 'hello\n', eof: true } satisfies Partial<RunStdin>,
  'post /v1/tenants': { name: 'acme', limits: { concurrentRuns: 8 } } satisfies Partial<Record<keyof CreateTenant, unknown>>,
  'patch /v1/tenants/{id}': { limits: { requestsPerSecond: 50 } },
  'post /v1/tenants/{id}/keys': { name: 'ci', scopes: ['runs:read', 'runs:write'] } satisfies Partial<CreateApiKey>,
  'post /v1/builds': { files: { Dockerfile: 'FROM busybox\nCOPY hello /hello\n', hello: 'hello\n' }, tags: ['team/hello:v1'] } satisfies CreateBuildInput,
  'post /v1/build-sources': { name: 'web', git: { url: 'https://git.example.com/team/web.git' }, on: { branch: 'main' }, tags: ['team/web:{branch}', 'team/web:{sha7}'] } satisfies CreateBuildSourceInput,
  'patch /v1/build-sources/{ref}': { on: { tag: 'v*' }, tags: ['team/web:{tag}'] } satisfies UpdateBuildSource,
  'post /v1/build-sources/{ref}/builds': { branch: 'main' } satisfies BuildNow,
  'post /v1/images/pull': { reference: 'busybox:latest' },
  'post /v1/images/push': { reference: '127.0.0.1:5000/team/app:v1', auth: { username: 'anna', password: 'secret' } },
  'post /v1/images/commit': { container: 'web', name: 'team/app:v2', comment: 'with the new page', changes: ['CMD ["nginx"]'] },
  'post /v1/images/prune': { all: true },
  'post /v1/images/{ref}/tags': { name: 'team/app:v1' },
  'post /v1/volumes': { name: 'data', labels: { tier: 'test' } },
  'post /v1/volumes/prune': { all: false },
  'post /v1/networks': { name: 'front', subnet: '172.30.0.0/24' },
  'post /v1/networks/prune': { labels: ['tier=test'] },
  'post /v1/networks/{ref}/connect': { container: 'web', aliases: ['www'] },
  'post /v1/networks/{ref}/disconnect': { container: 'web' },
  'post /v1/sandboxes/{id}/files/directories': { path: '/srv/app/logs', parents: true },
  'post /v1/sandboxes/{id}/files/moves': { from: '/tmp/new.conf', to: '/etc/app.conf', overwrite: true },
  'post /v1/sandboxes': { runtime: 'python', name: 'web', command: ['python3', '-m', 'http.server', '8000'], network: { mode: 'bridge', ports: [{ port: 8000 }] }, labels: { project: 'shop' } } satisfies CreateSandboxInput,
  'patch /v1/sandboxes/{id}': { limits: { memoryBytes: 536_870_912 } },
  'post /v1/sandboxes/{id}/stop': { timeoutSeconds: 5 },
  'post /v1/sandboxes/{id}/restart': { timeoutSeconds: 5 },
  'post /v1/sandboxes/{id}/kill': { signal: 'SIGHUP' },
  'post /v1/me/certificate': {},
  'post /v1/keys': { name: 'laptop' } satisfies Partial<CreateApiKey>,
};
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
/** Every route with a body can refuse it. */
const OF_BODIES = { 408: 'The request did not arrive in time.', 413: 'The body is too large.', 415: 'The body is not application/json.' };

function completed(document: OpenAPIObject): OpenAPIObject {
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      const body = operation?.requestBody;
      if (operation === undefined || body === undefined || !('content' in body)) continue;
      const refused = operation.responses['400'];
      for (const [status, description] of Object.entries(OF_BODIES)) operation.responses[status] = { ...refused, description };
      const json = body.content['application/json'];
      const example = EXAMPLES[`${method} ${path}`];
      if (json !== undefined && example !== undefined) json.example = example;
    }
  }
  return document;
}
