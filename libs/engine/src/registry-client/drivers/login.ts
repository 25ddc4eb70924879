import { STATUS_CODES } from 'node:http';
import { CodedError } from '#kernel';
import type { RegistryAuth } from '../registry-client.js';
import { dismiss } from './dialer.js';
import { requestText } from './failures.js';
import type { RegistrySession } from './registry-session.js';

/** Asks for `/v2/` as who one says to be. @throws CodedError `unauthenticated`, in the words of Docker's engine */
export async function checkLogin(session: RegistrySession, auth: RegistryAuth): Promise<{ readonly identityToken?: string }> {
  const where = { method: 'GET', url: session.urlOf('/v2/') };
  const isNobody = (auth.username ?? '') === '' && (auth.identityToken ?? '') === '' && (auth.registryToken ?? '') === '';
  if (session.credentials.scheme === 'bearer' && isNobody) throw new CodedError('unauthenticated', `${requestText(where.method, where.url)}: unauthorized: authentication required`);
  const identityToken = await session.credentials.refreshToken(where);
  const reply = await session.send({ method: 'GET', target: where.url, scopes: [] });
  dismiss(reply);
  if (reply.status !== 200) {
    throw new CodedError(reply.status === 401 || reply.status === 403 ? 'unauthenticated' : 'unavailable', `login attempt to ${where.url.href} failed with status: ${reply.status} ${STATUS_CODES[reply.status] ?? ''}`.trim());
  }
  return identityToken === undefined ? {} : { identityToken };
}
