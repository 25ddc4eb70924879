import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { CodedError } from './errors.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Secrets that lie where others can read: AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA-256 (RFC 5869) derives from `token`, another one for each
 * purpose. What is sealed is bound to the object that it belongs to: put beside another one, it does not open.
 */
export class SealedBox {
  private readonly key: Buffer;

  constructor(token: string, purpose: string) {
    this.key = Buffer.from(hkdfSync('sha256', token, '', purpose, 32));
  }

  /** Nonce, tag and text. */
  seal(owner: string, text: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** @throws CodedError `invalid_argument` when it was sealed with another token, for another purpose or owner, or changed */
  open(owner: string, sealed: Uint8Array): string {
    try {
      const bytes = Buffer.from(sealed);
      const decipher = createDecipheriv('aes-256-gcm', this.key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(owner))
        .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
    } catch {
      // Its cause may quote what was sealed.
      throw new CodedError('invalid_argument', 'what was sealed cannot be opened');
    }
  }
}
