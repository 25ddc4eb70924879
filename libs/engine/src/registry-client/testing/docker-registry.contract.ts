import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DockerRegistryOptions {
  readonly login?: { readonly username: string; readonly password: string };
  /** A token server: tokens are verified by this certificate (PEM). */
  readonly token?: { readonly realm: string; readonly certificate: string };
}

/** Debian's docker-registry, on a free port of the loopback interface, with its files in a temporary folder. */
export class DockerRegistry {
  private constructor(
    readonly host: string,
    readonly folder: string,
    private readonly child: ChildProcess,
  ) {}

  static async start({ login, token }: DockerRegistryOptions = {}): Promise<DockerRegistry> {
    const program = programAt('docker-registry');
    const folder = await mkdtemp(join(tmpdir(), 'docker-registry-'));
    const port = await freePort();
    const auth: string[] = [];
    if (login) {
      await writeFile(join(folder, 'htpasswd'), execFileSync(programAt('htpasswd'), ['-Bbn', login.username, login.password]));
      auth.push('auth:', '  htpasswd:', '    realm: test', `    path: ${join(folder, 'htpasswd')}`);
    }
    if (token) {
      await writeFile(join(folder, 'token.pem'), token.certificate);
      auth.push('auth:', '  token:', `    realm: ${token.realm}`, '    service: test-registry', '    issuer: test-issuer', `    rootcertbundle: ${join(folder, 'token.pem')}`);
    }
    const config = ['version: 0.1', 'log: {level: error, accesslog: {disabled: true}}', `storage: {filesystem: {rootdirectory: ${join(folder, 'data')}}, delete: {enabled: true}}`, `http: {addr: "127.0.0.1:${port}", secret: test}`, ...auth, ''];
    await writeFile(join(folder, 'config.yml'), config.join('\n'));
    const child = spawn(program, ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
    const registry = new DockerRegistry(`127.0.0.1:${port}`, folder, child);
    await registry.untilItAnswers();
    return registry;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    if (this.child.exitCode === null && this.child.kill('SIGKILL')) await ended;
    await rm(this.folder, { recursive: true, force: true });
  }

  private async untilItAnswers(): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) {
      if (this.child.exitCode !== null) throw new Error(`docker-registry ended with ${this.child.exitCode}`);
      if (await fetch(`http://${this.host}/v2/`).then(() => true, () => false)) return;
      await sleep(25);
    }
    throw new Error('docker-registry does not answer');
  }
}

function programAt(name: string): string {
  for (const folder of ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/bin']) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      continue;
    }
  }
  throw new Error(`this test needs the program ${name}: apt-get install docker-registry apache2-utils`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
