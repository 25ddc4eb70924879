import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';

const DESCRIPTION = `Run code in fresh sandboxes, read what it prints, stop it.

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
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, config), {
    jsonDocumentUrl: 'docs/json',
    yamlDocumentUrl: 'docs/yaml',
    customSiteTitle: 'Sandbar API',
    swaggerOptions: { validatorUrl: null },
  });
}
