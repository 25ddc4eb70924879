import { TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import { isId, type ApiKeyId } from '#kernel';

/** The API key that the client of a connection has a certificate of our own authority for. Whether that key still lives is not said. */
export function certifiedKeyOf(socket: Duplex): ApiKeyId | undefined {
  // `authorized`: OpenSSL has verified the chain, the times and the purpose.
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { CN } = socket.getPeerCertificate().subject;
  return isId('apiKey', CN) ? CN : undefined;
}
