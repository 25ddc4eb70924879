import type { Readable } from 'node:stream';
import { CodedError, asError } from '#kernel';
import { badParameter } from './errors.js';

/** Reads a request's body whole. @throws CodedError `payload_too_large` */
export async function readBody(source: Readable, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(source)) {
    bytes += chunk.length;
    if (bytes > limitBytes) throw new CodedError('payload_too_large', 'http: request body too large', { bytes: limitBytes });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The object of a JSON body; `{}` of an empty one. @throws CodedError `invalid_argument` */
export function parseJsonObject(body: Buffer): Record<string, unknown> {
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw badParameter(`invalid JSON: ${asError(error).message}`);
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw badParameter('invalid JSON: the body is no object');
  return value as Record<string, unknown>;
}

/**
 * The members that `fields` names, by their own spelling: Go's decoder, for which clients write, takes names in any case. Others are dropped,
 * so that only what was looked at goes on. `null` is an absent member.
 */
export function pick<F extends string>(value: Readonly<Record<string, unknown>>, fields: readonly F[]): Partial<Record<F, unknown>> {
  const names = new Map(fields.map((field) => [field.toLowerCase(), field]));
  const picked: Partial<Record<F, unknown>> = {};
  for (const [name, member] of Object.entries(value)) {
    const field = names.get(name.toLowerCase());
    if (field !== undefined && member !== null) picked[field] = member;
  }
  return picked;
}

/** Leaving the loop early leaves the request alone: destroyed, it would take the connection and the answer with it. */
function chunksOf(source: Readable): AsyncIterable<Buffer> {
  return source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}
