import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import type { UrlReply, UrlRequest } from '../../registry-client/index.js';

const TYPES = { commit: 1, tree: 2, blob: 3, tag: 4, named: 7 } as const;

export const hashOf = (type: string, bytes: Buffer): string => createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');

export function entry(type: keyof typeof TYPES, bytes: Buffer, more: { readonly size?: number; readonly base?: string } = {}): Buffer {
  let size = more.size ?? bytes.length;
  const head = [(TYPES[type] << 4) | size % 16];
  for (size = Math.floor(size / 16); size > 0; size = Math.floor(size / 128)) {
    head[head.length - 1] = (head.at(-1) ?? 0) | 0x80;
    head.push(size % 128);
  }
  return Buffer.concat([Buffer.from(head), Buffer.from(more.base ?? '', 'hex'), deflateSync(bytes)]);
}

export function packOf(entries: readonly Buffer[], count = entries.length): Buffer {
  const head = Buffer.alloc(12);
  head.write('PACK', 'latin1');
  head.writeUInt32BE(2, 4);
  head.writeUInt32BE(count, 8);
  const all = Buffer.concat([head, ...entries]);
  return Buffer.concat([all, createHash('sha1').update(all).digest()]);
}

export const row = (mode: string, name: string, hash: string): Buffer => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(hash, 'hex')]);

export function commitOf(tree: string): Buffer {
  return Buffer.from(`tree ${tree}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n`);
}

const packet = (bytes: Buffer | string): Buffer => Buffer.concat([Buffer.from((Buffer.byteLength(bytes) + 4).toString(16).padStart(4, '0')), Buffer.from(bytes)]);
const flush = Buffer.from('0000');

/** A server that says what it is told to the three questions, wherever it is asked; `wanted`: the commit of the third. */
export function serving(of: (wanted: string | undefined) => { readonly commit: string; readonly pack: Buffer }): { exchange(text: string, request: UrlRequest): Promise<UrlReply> } {
  return {
    exchange: (text, { body }) => {
      const reply = (...pieces: Buffer[]): Promise<UrlReply> => Promise.resolve({ status: 200, url: new URL(text), headers: {}, bytes: (async function* () { yield* await Promise.resolve(pieces); })() });
      if (text.includes('info/refs')) return reply(packet('# service=git-upload-pack\n'), flush, packet('version 2\n'), packet('fetch=shallow\n'), flush);
      const { commit, pack } = of(/want ([0-9a-f]{40})/.exec(body?.toString('latin1') ?? '')?.[1]);
      if (body?.includes('ls-refs') === true) return reply(packet(`${commit} HEAD\n`), flush);
      const bands = Array.from({ length: Math.ceil(pack.length / 60_000) }, (_, part) => packet(Buffer.concat([Buffer.from([1]), pack.subarray(part * 60_000, (part + 1) * 60_000)])));
      return reply(packet('packfile\n'), ...bands, flush);
    },
  };
}
