import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, boolean, context, integer, octets, oid, sequence, set, time, utf8 } from './der.js';

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const COMMON_NAME = oid('2.5.4.3');
const EXTENSION = { basicConstraints: '2.5.29.19', keyUsage: '2.5.29.15', extendedKeyUsage: '2.5.29.37', subjectAltName: '2.5.29.17', subjectKeyId: '2.5.29.14', authorityKeyId: '2.5.29.35' } as const;
const SERVER_AUTH = oid('1.3.6.1.5.5.7.3.1');
const CLIENT_AUTH = oid('1.3.6.1.5.5.7.3.2');
/** Clocks differ. */
const EARLIER_MS = 5 * 60_000;

export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** A certificate and its key, both PEM: P-256, signed with SHA-256. */
export interface Authority {
  readonly certificatePem: string;
  readonly key: KeyObject;
}

/** A new certificate authority that may sign certificates of servers and clients, and no further authorities. */
export function newAuthority(commonName: string, now: number, lifeMs: number): IssuedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [
    extension('basicConstraints', sequence(boolean(true), integer(Buffer.of(0))), true),
    // keyCertSign and cRLSign: bits 5 and 6.
    extension('keyUsage', bits(Buffer.of(0b0000_0110), 1), true),
    extension('subjectKeyId', octets(keyId(publicKey))),
  ];
  const certificatePem = signed({ subject: commonName, issuer: commonName, publicKey, extensions, now, lifeMs }, privateKey);
  return { certificatePem, keyPem: pemOf(privateKey) };
}

export function authorityOf(issued: IssuedCertificate): Authority {
  return { certificatePem: issued.certificatePem, key: createPrivateKey(issued.keyPem) };
}

/** For a server that is reached by these names and addresses. */
export function issueServer(authority: Authority, names: readonly string[], now: number, lifeMs: number): IssuedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const alternatives = names.map((name) => (isIP(name) === 0 ? context(2, Buffer.from(name, 'ascii'), 'implicit') : context(7, addressBytes(name), 'implicit')));
  const extensions = [...leafExtensions(authority, publicKey, SERVER_AUTH), extension('subjectAltName', sequence(...alternatives))];
  return { certificatePem: signed({ subject: names[0] ?? 'localhost', issuer: nameOf(authority), publicKey, extensions, now, lifeMs }, authority.key), keyPem: pemOf(privateKey) };
}

/** For a client with that public key. Who shows it proves in the handshake that the private one is its own. */
export function issueClient(authority: Authority, subject: string, publicKey: KeyObject, now: number, lifeMs: number): string {
  return signed({ subject, issuer: nameOf(authority), publicKey, extensions: leafExtensions(authority, publicKey, CLIENT_AUTH), now, lifeMs }, authority.key);
}

export function newClientKey(): { readonly publicKey: KeyObject; readonly keyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { publicKey, keyPem: pemOf(privateKey) };
}

interface Content {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly now: number;
  readonly lifeMs: number;
}

function signed({ subject, issuer, publicKey, extensions, now, lifeMs }: Content, key: KeyObject): string {
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0);
  const content = sequence(
    context(0, integer(Buffer.of(2))),
    integer(serial),
    ECDSA_SHA256,
    distinguishedName(issuer),
    sequence(time(now - EARLIER_MS), time(now + lifeMs)),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    context(3, sequence(...extensions)),
  );
  const signature = sign('sha256', content, { key, dsaEncoding: 'der' });
  return pem('CERTIFICATE', sequence(content, ECDSA_SHA256, bits(signature)));
}

function leafExtensions(authority: Authority, publicKey: KeyObject, purpose: Buffer): Buffer[] {
  return [
    extension('basicConstraints', sequence(), true),
    // digitalSignature: bit 0.
    extension('keyUsage', bits(Buffer.of(0b1000_0000), 7), true),
    extension('extendedKeyUsage', sequence(purpose)),
    extension('subjectKeyId', octets(keyId(publicKey))),
    extension('authorityKeyId', sequence(context(0, keyId(createPublicKey(authority.key)), 'implicit'))),
  ];
}

function extension(name: keyof typeof EXTENSION, value: Buffer, critical = false): Buffer {
  return sequence(oid(EXTENSION[name]), ...(critical ? [boolean(true)] : []), octets(value));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(COMMON_NAME, utf8(commonName))));
}

function nameOf(authority: Authority): string {
  return commonNameOf(new X509Certificate(authority.certificatePem).subject) ?? '';
}

/** Of Node's text of a distinguished name. */
export function commonNameOf(subject: string): string | undefined {
  return /^CN=(.*)$/m.exec(subject)?.[1];
}

function keyId(publicKey: KeyObject): Buffer {
  return createHash('sha1').update(publicKey.export({ type: 'spki', format: 'der' })).digest();
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const first = groups(head);
  const last = groups(tail ?? '');
  const middle = Array.from({ length: tail === undefined ? 0 : 8 - first.length - last.length }, () => '0');
  return Buffer.from([...first, ...middle, ...last].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
