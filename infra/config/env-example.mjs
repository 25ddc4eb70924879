import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderEnvExample } from '#config';

// Writes infra/.env.example from the schemas. Needs a build (`npm run build`).
writeFileSync(join(import.meta.dirname, '..', '.env.example'), renderEnvExample());
