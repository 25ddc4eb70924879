#!/usr/bin/env node
/** Writes the seed corpus: one well-formed conversation per request, and a few that are just not. `seeds.mjs FOLDER` */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const u16 = (value) => { const out = Buffer.alloc(2); out.writeUInt16LE(value); return out; };
const u32 = (value) => { const out = Buffer.alloc(4); out.writeUInt32LE(value); return out; };
const u64 = (value) => { const out = Buffer.alloc(8); out.writeBigUInt64LE(BigInt(value)); return out; };
const text = (...words) => Buffer.from(words.map((word) => `${word}\0`).join(''));
const frame = (type, payload = Buffer.alloc(0), { id = 1, seq = 0, flags = 0, length = payload.length } = {}) =>
  Buffer.concat([u32(length), Buffer.from([type, flags]), u16(0), u32(id), u64(seq), payload]);
const hello = (version = 3, after = 0) => frame(0x01, Buffer.concat([u32(0x41584253), u32(version), u64(after)]), { id: 0 });
const expected = (...files) => Buffer.concat([u32(files.length), ...files.flatMap(([name, content]) => [u32(text(name).length), u32(content.length), text(name), Buffer.from(content)])]);
const start = ({ gids = [], limits = [], flags = 0, rest = Buffer.alloc(0) } = {}) => {
  const cwd = text('/work'), argv = text('sh', '-c', 'true'), env = text('A=b');
  return frame(0x10, Buffer.concat([u32(7), u32(flags), u32(1000), u32(1000), u16(80), u16(24), u16(gids.length), u16(limits.length),
    u32(cwd.length), u32(argv.length), u32(env.length), ...gids.map(u32), ...limits.flatMap(([name, value]) => [u32(name), u64(value), u64(value)]), cwd, argv, env, rest]));
};
const stdin = (offset) => frame(0x11, Buffer.concat([u32(7), u64(offset), Buffer.from('input')]));
const path = text('/srv/a/b');
const write = (options) => frame(0x16, Buffer.concat([u32(0o644), u32(0), u32(0), u32(path.length), path, Buffer.from('content')]), options);
const conversations = {
  hello: [hello()], again: [hello(), hello()], version: [hello(9)], after: [hello(3, 5)], ping: [hello(), frame(0x19)],
  start: [hello(), start()], startFull: [hello(), start({ gids: [1, 2, 3], limits: [[7, 64], [9, 1 << 20]], flags: 15 })],
  startExpects: [hello(), start({ flags: 16, rest: expected(['/etc/passwd', 'root'], ['/etc/group', '']) }), start({ flags: 16 })],
  startExpectsMany: [hello(), start({ flags: 16, rest: expected(...Array.from({ length: 5 }, () => ['/a', 'b'])) })],
  stdin: [hello(), stdin(0)], again2: [hello(), stdin(0), stdin(0), stdin(3)], gap: [hello(), stdin(0), stdin(1 << 20)], beyond: [hello(), stdin(2n ** 63n)], close: [hello(), frame(0x12, u32(7))],
  signal: [hello(), frame(0x13, Buffer.concat([u32(7), u32(9)]))], kill: [hello(), frame(0x14)],
  resize: [hello(), frame(0x15, Buffer.concat([u32(7), u16(100), u16(30)]))],
  flow: [hello(), frame(0x1a, u32(7), { flags: 1 }), frame(0x1a, u32(7))],
  write: [hello(), write()], pieces: [hello(), write({ flags: 1 }), frame(0x17, Buffer.from('more'), { flags: 1 }), frame(0x17)],
  read: [hello(), frame(0x18, Buffer.concat([u64(4096), u32(path.length), path]))], ack: [hello(), frame(0x02, undefined, { seq: 1 })],
  ahead: [hello(), frame(0x02, undefined, { seq: 1e9 })], long: [hello(), frame(0x19, undefined, { length: 0x7fffffff })], unknown: [hello(), frame(0x77)],
};
const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
for (const [name, frames] of Object.entries(conversations))
  for (const plan of [0x00, 0x03]) writeFileSync(join(folder, `${name}-${plan}`), Buffer.concat([Buffer.from([plan]), ...frames]));
