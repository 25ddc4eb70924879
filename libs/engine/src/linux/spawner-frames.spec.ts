import { decodeAnswer, encodeExec, encodeLaunch, FrameSplitter } from './spawner-frames.js';
import type { LaunchRequest } from './spawner.js';

function ended(id: number): Buffer {
  const body = Buffer.alloc(14 + 4 + 2 + 4 + 1);
  body.writeUInt32LE(id, 0);
  body.writeInt32LE(-1, 6);
  body.writeInt32LE(9, 10);
  body.writeUInt32LE(2, 14);
  body.write('ab', 18);
  body.writeUInt32LE(1, 20);
  body.write('c', 24);
  return body;
}

describe('spawner frames', () => {
  it('refuses a NUL and a request beyond 16 MiB', () => {
    expect(() => encodeExec(1, { argv: ['/bin/a\0b'], timeoutMs: 1 })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    expect(() => encodeExec(1, { argv: ['/bin/a'], stdin: Buffer.alloc(16 * 1024 * 1024), timeoutMs: 1 })).toThrow(expect.objectContaining({ code: 'payload_too_large' }));
  });

  it('refuses a writable layer that overlayfs could not be told of', () => {
    const launch = (upperDir: string, workDir: string, fleeting?: boolean): Buffer => {
      const request: LaunchRequest = {
        agentProgram: '/a',
        argv: ['/r'],
        env: {},
        rootfs: { kind: 'overlay', lowerDirs: [], upper: { kind: 'directory', upperDir, workDir, ...(fleeting === undefined ? {} : { fleeting }) } },
        mountPoint: '/m',
        idRange: { hostStart: 1, size: 1 },
        cgroupJoinFiles: [],
        agentSocketPath: '/s',
        timeoutMs: 1,
      };
      return encodeLaunch(1, request);
    };
    for (const [fleeting, flag] of [[undefined, '\0'], [false, '\0'], [true, '\x01']] as const) {
      expect(launch('/d/upper', '/d/work', fleeting).includes(`/d\0\x06\0\0\0upper\0\x05\0\0\0work\0${flag}\x01\0\0\0\x01\0\0\0`)).toBe(true);
    }
    for (const [upper, work] of [['/d/upper', '/e/work'], ['/d/a,b', '/d/work'], ['/d/upper', '/d/a:b'], ['/d/a\\b', '/d/work']] as const) {
      expect(() => launch(upper, work)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    }
  });

  it('reads an answer, and none that ends within a field', () => {
    expect(decodeAnswer(ended(7))).toEqual({ id: 7, kind: 'ended', timedOut: false, exitCode: null, signal: 9, stdout: Buffer.from('ab'), stderr: Buffer.from('c') });
    for (let size = 0; size < ended(7).length; size += 1) expect(() => decodeAnswer(ended(7).subarray(0, size))).toThrow(/bounds|range|beyond/);
  });

  it('cuts a stream wherever its chunks end', () => {
    const frames = [1, 2, 3].map((id) => Buffer.concat([Buffer.of(ended(id).length, 0, 0, 0), ended(id)]));
    const stream = Buffer.concat(frames);
    for (const step of [1, 3, 17, 1000]) {
      const splitter = new FrameSplitter();
      const ids: number[] = [];
      for (let at = 0; at < stream.length; at += step) for (const body of splitter.push(stream.subarray(at, at + step))) ids.push(decodeAnswer(body).id);
      expect(ids).toEqual([1, 2, 3]);
    }
  });
});
