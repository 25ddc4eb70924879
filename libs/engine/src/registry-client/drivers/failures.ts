import { CodedError, asError, errnoOf, isCodedError, type ErrorCode } from '#kernel';

/** Nobody answered there: no name, no route, no TLS. Asking again at once is no use. */
export function unreachable(what: string, cause: unknown, code: ErrorCode = 'unavailable'): CodedError {
  return new CodedError(code, what, { unreachable: true }, { cause });
}

export function isUnreachable(error: unknown): error is CodedError {
  return isCodedError(error) && error.details.unreachable === true;
}

/** The connection was there and broke: the same request may go well. */
export function dropped(what: string, cause?: unknown): CodedError {
  return new CodedError('unavailable', what, { dropped: true }, { cause });
}

/** Worth another try: dropped connections, and answers that say so themselves. */
export function isPassing(error: unknown): error is CodedError {
  return isCodedError(error) && (error.details.dropped === true || error.details.busy === true);
}

/** `Get "https://host/v2/"`: how Go programs begin to say that a request failed. */
export function requestText(method: string, url: URL): string {
  return `${method.charAt(0)}${method.slice(1).toLowerCase()} "${url.origin}${url.pathname}"`;
}

/** What a connection that could not be made has told, in the words of Go's dialler. */
export function dialText(error: unknown, url: URL): string {
  const { code, message } = { code: errnoOf(error), message: asError(error).message };
  const where = `dial tcp ${url.host}`;
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
      return `dial tcp: lookup ${url.hostname}: no such host`;
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${url.hostname}: Temporary failure in name resolution`;
    case 'ECONNREFUSED':
      return `${where}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `${where}: connect: no route to host`;
    case 'ENETUNREACH':
      return `${where}: connect: network is unreachable`;
    case 'ETIMEDOUT':
      return `${where}: i/o timeout`;
    case undefined:
      return message;
    default:
      return /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_|SELF_|UNABLE_|EPROTO|HOSTNAME_)/.test(code) ? `tls: failed to verify certificate: ${message}` : message;
  }
}
