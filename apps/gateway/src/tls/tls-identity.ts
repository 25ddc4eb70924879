import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { CodedError } from '#kernel';
import { authorityOf, issueClient, issueServer, newAuthority, newClientKey, type Authority, type IssuedCertificate } from './certificates.js';

const DAY_MS = 86_400_000;
const AUTHORITY_LIFE_MS = 20 * 365 * DAY_MS;
/** Made anew at each start and each day: nobody pins it, everybody knows the authority. */
const SERVER_LIFE_MS = 30 * DAY_MS;
const CLIENT_LIFE_MS = 397 * DAY_MS;

export interface ClientCertificate {
  readonly certificatePem: string;
  /** Only when it was made here. */
  readonly keyPem: string | undefined;
  readonly authorityPem: string;
  readonly expiresAt: Date;
}

/** The installation's own certificate authority: what its servers show, and what lets clients in. */
export class TlsIdentity {
  private readonly authority: Authority;

  private constructor(private readonly issued: IssuedCertificate) {
    this.authority = authorityOf(issued);
  }

  /**
   * Of the text that `newAuthorityBundle` made.
   * @throws CodedError `invalid_argument` when certificate and key are not there or do not belong together
   */
  static parse(bundle: string): TlsIdentity {
    const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(bundle)?.[0];
    const keyPem = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/.exec(bundle)?.[0];
    if (certificatePem === undefined || keyPem === undefined) throw new CodedError('invalid_argument', 'the certificate authority needs a certificate and a private key, both PEM');
    let fits: boolean;
    try {
      const certificate = new X509Certificate(certificatePem);
      fits = certificate.ca && certificate.checkPrivateKey(createPrivateKey(keyPem));
    } catch (cause) {
      throw new CodedError('invalid_argument', 'the certificate authority cannot be read', {}, { cause });
    }
    if (!fits) throw new CodedError('invalid_argument', 'certificate and private key of the authority do not belong together');
    return new TlsIdentity({ certificatePem: `${certificatePem}\n`, keyPem });
  }

  get authorityPem(): string {
    return this.issued.certificatePem;
  }

  server(names: readonly string[], now: number): IssuedCertificate {
    return issueServer(this.authority, names, now, SERVER_LIFE_MS);
  }

  /** `publicKey`: the client's own, whose private part never leaves it. */
  client(subject: string, publicKey: KeyObject | undefined, now: number, notAfter: Date | null): ClientCertificate {
    const made = publicKey === undefined ? newClientKey() : undefined;
    const lifeMs = Math.min(CLIENT_LIFE_MS, notAfter === null ? CLIENT_LIFE_MS : notAfter.getTime() - now);
    const key = publicKey ?? made?.publicKey;
    if (key === undefined) throw new CodedError('internal', 'no key to certify');
    return { certificatePem: issueClient(this.authority, subject, key, now, lifeMs), keyPem: made?.keyPem, authorityPem: this.authorityPem, expiresAt: new Date(now + lifeMs) };
  }
}

/** A new authority: certificate and key, to be kept as one secret. */
export function newAuthorityBundle(now: number): string {
  const { certificatePem, keyPem } = newAuthority('Sandbar installation', now, AUTHORITY_LIFE_MS);
  return certificatePem + keyPem;
}
