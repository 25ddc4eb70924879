import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { CreateApiKey, CreateRunInput, CreateSandboxInput, CreateTenant, RunStdin } from '#contracts';

const DESCRIPTION = `Run code in fresh sandboxes, read what it prints, stop it. Keep sandboxes for as long as you like.

Every answer that is not a success has the body \`{ "error": { "code", "message", "details", "requestId" } }\`.
Clients may branch on \`code\`; \`requestId\` is also the header \`x-request-id\`.

\`\`\`
curl -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \\
  -d '{"runtime":"python","code":"print(6*7)"}' 'localhost:8080/v1/runs?wait=true'
\`\`\``;

/** OpenAPI from the schemas that check the requests: JSON at /docs/json, a page at /docs that needs no other host. */
export function serveDocs(app: INestApplication): void {
  const config = new DocumentBuilder()
    .setTitle('Sandbar')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'sbk_…', description: 'An API key.' }, 'apiKey')
    .build();
  SwaggerModule.setup('docs', app, () => completed(SwaggerModule.createDocument(app, config)), {
    jsonDocumentUrl: 'docs/json',
    yamlDocumentUrl: 'docs/yaml',
    customSiteTitle: 'Sandbar API',
    swaggerOptions: { validatorUrl: null },
  });
}

/** A body of each route that takes one, as the page offers it to be tried. */
const EXAMPLES: Readonly<Record<string, object>> = {
  'post /v1/runs': { runtime: 'python', code: 'print(6*7)', limits: { wallTimeMs: 5000 } } satisfies Partial<Record<keyof CreateRunInput, unknown>>,
  'post /v1/runs/{id}/stdin': { data: 'hello\n', eof: true } satisfies Partial<RunStdin>,
  'post /v1/tenants': { name: 'acme', limits: { concurrentRuns: 8 } } satisfies Partial<Record<keyof CreateTenant, unknown>>,
  'patch /v1/tenants/{id}': { limits: { requestsPerSecond: 50 } },
  'post /v1/tenants/{id}/keys': { name: 'ci', scopes: ['runs:read', 'runs:write'] } satisfies Partial<CreateApiKey>,
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
