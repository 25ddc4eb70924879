import { generateKeyPairSync } from 'node:crypto';
import { dirname, join } from 'node:path';
import { SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { findCredentials, loginFile, type GlobalOptions } from '../credentials.js';
import { configWithHeader, customHeaders, dockerHost, keepPrivately, quoted, shellLines } from '../docker-settings.js';
import { CliError } from '../failure.js';

const DESCRIPTION = `Prints what the docker CLI needs to speak to your tenant's virtual host: eval "$(sandbar docker-context)".

Without options the key goes along as a header. With --tls a client certificate stands for it: its private key is made here and never
leaves this machine, and revoking the API key ends it. With --dir alone, Docker's config.json in that folder gets the header.`;

export function registerDockerContext(program: Command): void {
  program
    .command('docker-context')
    .summary('settings for the docker CLI')
    .description(DESCRIPTION)
    .option('--tls', 'by client certificate')
    .option('--dir <folder>', "where files are kept (certificates: by default beside sandbar's login)")
    .action(async ({ tls, dir }: { tls?: boolean; dir?: string }, command: Command) => {
      const credentials = findCredentials(command.optsWithGlobals<GlobalOptions>(), 'tenant');
      const client = new SandbarClient(credentials);
      const { tenant } = await client.me();
      if (tenant === null) throw new CliError("the operator's key has no virtual host", "Use a tenant's key.");
      const host = dockerHost(credentials.url);
      if (tls === true) {
        process.stdout.write(await byCertificate(client, host, dir ?? join(dirname(loginFile()), 'docker', tenant.name), tenant.name));
        return;
      }
      if (credentials.url.startsWith('https:')) throw new CliError('over TLS the docker CLI needs to know whom to trust', 'sandbar docker-context --tls', 2);
      process.stdout.write(dir === undefined ? byHeader(host, credentials.apiKey) : byConfig(host, credentials.apiKey, dir));
    });
}

function byHeader(host: string, apiKey: string): string {
  return shellLines({ DOCKER_HOST: host, DOCKER_CUSTOM_HEADERS: customHeaders(apiKey), DOCKER_TLS_VERIFY: undefined, DOCKER_TLS: undefined });
}

function byConfig(host: string, apiKey: string, dir: string): string {
  const folder = keepPrivately(dir, { 'config.json': configWithHeader(dir, apiKey) });
  return shellLines({ DOCKER_HOST: host, DOCKER_CONFIG: folder, DOCKER_CUSTOM_HEADERS: undefined, DOCKER_TLS_VERIFY: undefined, DOCKER_TLS: undefined });
}

async function byCertificate(client: SandbarClient, host: string, dir: string, tenant: string): Promise<string> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { certificate, authority, expiresAt } = await client.certify(publicKey.export({ type: 'spki', format: 'pem' }).toString());
  const folder = keepPrivately(dir, { 'ca.pem': authority, 'cert.pem': certificate, 'key.pem': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() });
  const files = `host=${host},ca=${folder}/ca.pem,cert=${folder}/cert.pem,key=${folder}/key.pem`;
  return (
    shellLines({ DOCKER_HOST: host, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder, DOCKER_CUSTOM_HEADERS: undefined }) +
    `# Good until ${expiresAt.slice(0, 10)}. As a context instead:\n# docker context create ${tenant.length > 1 ? tenant : `sandbar-${tenant}`} --docker ${quoted(files)}\n`
  );
}
