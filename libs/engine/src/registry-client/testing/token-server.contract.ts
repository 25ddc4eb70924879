import { createHash, createPublicKey, createSign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { end } from './hostile-registry.contract.js';
import { selfSigned } from './self-signed.contract.js';

/** Gives out tokens like a registry's token server (distribution, token.md and oauth.md): all to one login, none to strangers. */
export class TokenServer {
  private server!: Server;

  private constructor(
    private readonly key: string,
    readonly certificate: string,
    private readonly login: { readonly username: string; readonly password: string },
  ) {}

  static async start(login: { readonly username: string; readonly password: string }): Promise<TokenServer> {
    const { key, certificate } = await selfSigned();
    const tokens = new TokenServer(key, certificate, login);
    tokens.server = createServer((request, response) => {
      void tokens.answer(request).then(({ status, body }) => {
        end(response, status, JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => tokens.server.listen(0, '127.0.0.1', resolve));
    return tokens;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get realm(): string {
    return `http://${this.host}/token`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage): Promise<{ status: number; body: object }> {
    const { searchParams } = new URL(request.url ?? '/', this.realm);
    if (request.method === 'POST') {
      const form = new URLSearchParams((await request.setEncoding('utf8').toArray()).join(''));
      if (form.get('refresh_token') !== `refresh-${this.login.username}`) return refusal();
      return { status: 200, body: { access_token: this.sign((form.get('scope') ?? '').split(' ')), expires_in: 300 } };
    }
    const given = Buffer.from(request.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
    if (given !== '' && given !== `${this.login.username}:${this.login.password}`) return refusal();
    const offline = searchParams.get('offline_token') === 'true' && given !== '';
    return { status: 200, body: { token: this.sign(given === '' ? [] : searchParams.getAll('scope')), ...(offline ? { refresh_token: `refresh-${this.login.username}` } : {}) } };
  }

  /** A JSON web token that docker-registry takes: RS256, the key named as libtrust does it. */
  private sign(scopes: readonly string[]): string {
    const der = createPublicKey(this.certificate).export({ type: 'spki', format: 'der' });
    const kid = (base32(createHash('sha256').update(der).digest().subarray(0, 30)).match(/.{4}/g) ?? []).join(':');
    const now = Math.floor(Date.now() / 1000);
    const access = scopes.filter((scope) => scope !== '').map((scope) => {
      const [type, name, actions = ''] = scope.split(':');
      return { type, name, actions: actions.split(',') };
    });
    const parts = [{ typ: 'JWT', alg: 'RS256', kid }, { iss: 'test-issuer', sub: 'test', aud: 'test-registry', exp: now + 300, nbf: now - 10, iat: now, jti: String(Math.random()), access }];
    const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${createSign('RSA-SHA256').update(text).sign(this.key).toString('base64url')}`;
  }
}

function refusal(): { status: number; body: object } {
  return { status: 401, body: { errors: [{ code: 'UNAUTHORIZED', message: 'incorrect username or password' }] } };
}

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.charAt(Number.parseInt(five, 2))).join('');
}
