import { STATUS_CODES } from 'node:http';
import { CodedError, type Clock, type ErrorCode } from '#kernel';
import type { WireReply } from './dialer.js';
import { busy, parseRetryAfter } from './retries.js';

const MAX_TEXT = 500;

/** What a registry says went wrong (distribution-spec, "Error Codes"), as Docker writes it: `manifest unknown: manifest unknown`. */
export interface RegistryFault {
  /** In capitals, such as `MANIFEST_UNKNOWN`; empty when the body said nothing. */
  readonly code: string;
  readonly text: string;
}

/** @throws CodedError `rate_limited`, `unavailable` that `withRetries` takes */
export function checkPassing(reply: WireReply, body: Buffer, clock: Clock): void {
  const { status, headers } = reply;
  if (status !== 429 && status !== 408 && status < 500) return;
  throw busy(errorText(body) ?? `received unexpected HTTP status: ${status} ${STATUS_CODES[status] ?? ''}`.trim(), status, parseRetryAfter(headers['retry-after'], clock.now()));
}

export function faultOf(status: number, body: Buffer): RegistryFault {
  return firstFault(body) ?? { code: BY_STATUS[status]?.[0] ?? '', text: BY_STATUS[status]?.[1] ?? `received unexpected HTTP status: ${status} ${STATUS_CODES[status] ?? ''}`.trim() };
}

export function errorText(body: Buffer): string | undefined {
  return firstFault(body)?.text;
}

/** The error for a status that nothing more is known of. */
export function faultError(status: number, fault: RegistryFault): CodedError {
  return new CodedError(CODES[status] ?? (status >= 500 ? 'unavailable' : 'protocol_violation'), fault.text, { status });
}

const BY_STATUS: Readonly<Record<number, readonly [string, string]>> = {
  401: ['UNAUTHORIZED', 'unauthorized: authentication required'],
  403: ['DENIED', 'denied: requested access to the resource is denied'],
};

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_argument',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  405: 'unsupported',
  413: 'payload_too_large',
  429: 'rate_limited',
};

function firstFault(body: Buffer): RegistryFault | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { errors, details } = value as Record<string, unknown>;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  if (typeof first !== 'object' || first === null) return typeof details === 'string' ? { code: 'UNAUTHORIZED', text: `unauthorized: ${printable(details)}` } : undefined;
  const { code, message } = first as Record<string, unknown>;
  if (typeof code !== 'string') return undefined;
  const words = printable(code).toLowerCase().replaceAll('_', ' ');
  return { code: code.slice(0, 64), text: `${words}: ${typeof message === 'string' && message !== '' ? printable(message) : words}` };
}

/** A registry's words reach terminals and logs. */
function printable(text: string): string {
  return text.slice(0, MAX_TEXT).replaceAll(/[^\x20-\x7e\u00a0-\ud7ff]+/g, ' ').trim();
}
