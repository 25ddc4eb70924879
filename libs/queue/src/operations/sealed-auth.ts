import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { registryAuthSchema, type RegistryAuthBody } from '#contracts';
import { CodedError, type OperationId } from '#kernel';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PURPOSE = 'sandbar registry credentials v1';

/**
 * Credentials of a registry on their way through the queue: AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA-256 (RFC 5869) derives from the token
 * that gateways and nodes share. Bound to their operation: they open for no other.
 */
export class SealedAuth {
  private readonly key: Buffer;

  constructor(nodeToken: string) {
    this.key = Buffer.from(hkdfSync('sha256', nodeToken, '', PURPOSE, 32));
  }

  /** Base64 of nonce, tag and text. */
  seal(operationId: OperationId, auth: RegistryAuthBody): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(operationId));
    const text = Buffer.concat([cipher.update(JSON.stringify(auth), 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64');
  }

  /** @throws CodedError `invalid_argument` when it was sealed with another token, for another operation, or changed */
  open(operationId: OperationId, sealed: string): RegistryAuthBody {
    try {
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', this.key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(operationId))
        .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
      return registryAuthSchema.parse(JSON.parse(text));
    } catch {
      // Its cause may quote what was sealed.
      throw new CodedError('invalid_argument', 'the credentials of the operation cannot be opened');
    }
  }
}
