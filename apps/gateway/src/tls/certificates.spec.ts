import { execFileSync } from 'node:child_process';
import { X509Certificate, createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authorityOf, commonNameOf, issueClient, issueServer, newAuthority, newClientKey } from './certificates.js';

const DAY = 86_400_000;
const NAMES = ['localhost', 'gw.example.org', '127.0.0.1', '::1', '2001:db8::7:0:1'];

describe('certificates', () => {
  let folder: string;
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'certificates-')); });
  afterEach(() => { rmSync(folder, { recursive: true }); });

  const now = Date.now();
  const issued = newAuthority('Sandbar CA', now, 3650 * DAY);
  const authority = authorityOf(issued);

  it('satisfy openssl, for the purpose they are made for and for no other', () => {
    const ca = file('ca.crt', issued.certificatePem);
    const server = file('server.crt', issueServer(authority, NAMES, now, 30 * DAY).certificatePem);
    const { publicKey } = newClientKey();
    const client = file('client.crt', issueClient(authority, 'key_1', publicKey, now, 30 * DAY));
    expect(openssl('verify', '-x509_strict', '-CAfile', ca, '-purpose', 'sslserver', server)).toMatch(/OK/);
    expect(openssl('verify', '-x509_strict', '-CAfile', ca, '-purpose', 'sslclient', client)).toMatch(/OK/);
    expect(() => openssl('verify', '-CAfile', ca, '-purpose', 'sslclient', server)).toThrow();
    expect(() => openssl('verify', '-CAfile', ca, '-purpose', 'sslserver', client)).toThrow();
    for (const name of ['localhost', 'gw.example.org']) expect(openssl('verify', '-CAfile', ca, '-verify_hostname', name, server)).toMatch(/OK/);
    for (const address of ['127.0.0.1', '::1', '2001:db8::7:0:1']) expect(openssl('verify', '-CAfile', ca, '-verify_ip', address, server)).toMatch(/OK/);
    expect(() => openssl('verify', '-CAfile', ca, '-verify_hostname', 'evil.example.org', server)).toThrow();
  });

  it('of another authority with the same name are refused', () => {
    const ca = file('ca.crt', issued.certificatePem);
    const other = authorityOf(newAuthority('Sandbar CA', now, 30 * DAY));
    const client = file('client.crt', issueClient(other, 'key_1', newClientKey().publicKey, now, 30 * DAY));
    expect(() => openssl('verify', '-CAfile', ca, client)).toThrow();
  });

  it('name their subject and end in time, also after 2049', () => {
    const key = newClientKey();
    const certificate = new X509Certificate(issueClient(authority, 'key_01abc', key.publicKey, now, 40 * 365 * DAY));
    expect(commonNameOf(certificate.subject)).toBe('key_01abc');
    expect(Math.abs(certificate.validToDate.getTime() - (now + 40 * 365 * DAY))).toBeLessThan(1000);
    expect(certificate.checkPrivateKey).toBeDefined();
    expect(certificate.verify(createPublicKey(authority.key))).toBe(true);
  });

  it('have serials of their own', () => {
    const serials = Array.from({ length: 20 }, () => new X509Certificate(issueClient(authority, 'x', newClientKey().publicKey, now, DAY)).serialNumber);
    expect(new Set(serials).size).toBe(20);
  });
});
