import { Body, Controller, Get, Inject, Post } from '@nestjs/common';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { createCertificateSchema, certificateViewSchema, authorityViewSchema, type AuthorityView, type CertificateView, type CreateCertificate } from '#contracts';
import { CodedError, type Clock } from '#kernel';
import { Caller } from '../auth/caller.decorator.js';
import { KeyAuthenticator } from '../auth/key-authenticator.service.js';
import { Public, RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { CLOCK, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import type { TlsIdentity } from './tls-identity.js';

const LEAST_RSA_BITS = 2048;

@ApiTags('keys')
@Controller('v1')
export class CertificatesController {
  constructor(
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly keys: KeyAuthenticator,
  ) {}

  @Get('certificate-authority')
  @Public()
  @ApiOperation({ summary: 'The authority that certifies this server', description: 'Fetch it over a connection that you trust.' })
  @ApiResponse({ status: 200, description: 'Its certificate.', standardSchema: authorityViewSchema })
  authority(): AuthorityView {
    return { certificate: this.identity.authorityPem };
  }

  /** Of the calling key for itself alone: it grants nothing that the key does not, and ends with it. */
  @Post('me/certificate')
  @RequirePermission('any')
  @ApiOperation({ summary: 'A client certificate that stands for my key', description: 'With `publicKey` (PEM) of your own; without, a key is made, which stands in this answer only. It lets in as long as the API key lives.' })
  @ApiResponse({ status: 201, description: 'Certified.', standardSchema: certificateViewSchema })
  @Keyed()
  async certify(@Caller() { keyId }: Caller, @Body({ schema: createCertificateSchema }) { publicKey }: CreateCertificate): Promise<CertificateView> {
    const key = publicKey === undefined ? undefined : readPublicKey(publicKey);
    const expiresAt = await this.keys.expiryOf(keyId);
    const made = this.identity.client(keyId, key, this.clock.now(), expiresAt);
    return { certificate: made.certificatePem, key: made.keyPem ?? null, authority: made.authorityPem, expiresAt: made.expiresAt.toISOString() };
  }

  private get identity(): TlsIdentity {
    const { tls } = this.settings;
    if (tls === undefined) throw new CodedError('unsupported', 'this server has no certificate authority');
    return tls.identity;
  }
}

function readPublicKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: 'pem' });
  } catch {
    throw new CodedError('invalid_argument', 'publicKey: is no public key in PEM', { issues: [{ path: 'publicKey', message: 'is no public key in PEM' }] });
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' || type === 'ed25519' || (type === 'rsa' && (details?.modulusLength ?? 0) >= LEAST_RSA_BITS)) return key;
  throw new CodedError('invalid_argument', 'publicKey: must be EC, Ed25519, or RSA of 2048 bits or more', { issues: [{ path: 'publicKey', message: 'must be EC, Ed25519, or RSA of 2048 bits or more' }] });
}
