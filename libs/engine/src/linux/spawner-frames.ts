import { posix } from 'node:path';
import { CodedError } from '#kernel';
import type { BindMount, DirectoryUpper, TmpfsUpper } from './mount.js';
import type { ExecRequest, LaunchRequest } from './spawner.js';

/** The spawner's frames (docs/engine/spawner-protocol.md). Pure: bytes in, values out. */

const OP = { exec: 1, launch: 2 } as const;
const UPPER = { tmpfs: 1, directory: 2 } as const;
const BIND = { ensureDirectory: 1, readOnly: 2, setId: 4 } as const;
const HEAD_BYTES = 4;
/** In mount options `,` ends one, `:` parts layers and `\\` escapes. */
const OVERLAY_NAME = /^[^,:\\]+$/;
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

export type Answer =
  | {
      readonly id: number;
      readonly kind: 'ended';
      readonly timedOut: boolean;
      readonly exitCode: number | null;
      readonly signal: number | null;
      readonly stdout: Buffer;
      readonly stderr: Buffer;
    }
  | { readonly id: number; readonly kind: 'not_started'; readonly timedOut: boolean; readonly errno: number; readonly step: string };

class Writer {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    this.#parts.push(Buffer.of(value));
    return this;
  }

  u32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32LE(value);
    this.#parts.push(part);
    return this;
  }

  u64(value: number): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigUInt64LE(BigInt(value));
    this.#parts.push(part);
    return this;
  }

  blob(bytes: Uint8Array): this {
    this.u32(bytes.byteLength).#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return this;
  }

  /** @throws CodedError `invalid_argument`: C programs cannot be given a NUL. */
  string(value: string): this {
    if (value.includes('\0')) throw new CodedError('invalid_argument', 'a string for a program holds a NUL byte');
    return this.blob(Buffer.from(`${value}\0`));
  }

  list(values: readonly string[]): this {
    this.u32(values.length);
    for (const value of values) this.string(value);
    return this;
  }

  /** @throws CodedError `invalid_argument`: not side by side, or names that overlayfs' options cannot hold. */
  upper(upper: TmpfsUpper | DirectoryUpper): this {
    if (upper.kind === 'tmpfs') return this.u8(UPPER.tmpfs).u64(upper.sizeBytes).u64(upper.inodes);
    const { upperDir, workDir, fleeting = false } = upper;
    const names = [posix.basename(upperDir), posix.basename(workDir)] as const;
    if (posix.dirname(upperDir) !== posix.dirname(workDir)) throw new CodedError('invalid_argument', 'the writable layer is not side by side with its work folder', { upperDir, workDir });
    if (names.some((name) => !OVERLAY_NAME.test(name))) throw new CodedError('invalid_argument', 'a name that overlayfs has other meanings for', { upperDir, workDir });
    return this.u8(UPPER.directory).string(posix.dirname(upperDir)).string(names[0]).string(names[1]).u8(fleeting ? 1 : 0);
  }

  binds(binds: readonly BindMount[], flagsOfAll: number): this {
    this.u32(binds.length);
    for (const bind of binds) {
      this.string(bind.base)
        .string(bind.path)
        .u8(flagsOfAll | (bind.ensureDirectory ? BIND.ensureDirectory : 0) | (bind.readOnly ? BIND.readOnly : 0));
    }
    return this;
  }

  frame(): Buffer {
    const body = Buffer.concat(this.#parts);
    if (body.length > MAX_FRAME_BYTES) throw new CodedError('payload_too_large', 'a request to the spawner is too long', { bytes: body.length });
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt32LE(body.length);
    return Buffer.concat([head, body]);
  }
}

function environment(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

const DEFAULT_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

/** @throws CodedError `invalid_argument`, `payload_too_large` */
export function encodeExec(id: number, request: ExecRequest): Buffer {
  return new Writer()
    .u32(id)
    .u8(OP.exec)
    .u32(request.timeoutMs)
    .blob(request.stdin ?? Buffer.alloc(0))
    .list(request.argv)
    .list(environment(request.env ?? DEFAULT_ENV))
    .string(request.cwd ?? '/')
    .frame();
}

/** @throws CodedError `invalid_argument`, `payload_too_large` */
export function encodeLaunch(id: number, request: LaunchRequest): Buffer {
  const { rootfs, idRange } = request;
  return new Writer()
    .u32(id)
    .u8(OP.launch)
    .u32(request.timeoutMs)
    .string(request.agentProgram)
    .list(request.argv)
    .list(environment(request.env))
    .string(request.mountPoint)
    .list(rootfs.lowerDirs)
    .upper(rootfs.upper)
    .u32(idRange.hostStart)
    .u32(idRange.size)
    .binds(request.binds ?? [], request.bindsSetId === true ? BIND.setId : 0)
    .list(request.cgroupJoinFiles)
    .string(request.agentSocketPath)
    .string(request.networkNamespace ?? '')
    .frame();
}

/** @throws RangeError when the frame is shorter than its fields say */
export function decodeAnswer(body: Buffer): Answer {
  const id = body.readUInt32LE(0);
  const status = body.readUInt8(4);
  const timedOut = body.readUInt8(5) === 1;
  if (status === 1) return { id, kind: 'not_started', timedOut, errno: body.readInt32LE(6), step: blobAt(body, 10).toString() };
  const code = body.readInt32LE(6);
  const signal = body.readInt32LE(10);
  const stdout = blobAt(body, 14);
  const stderr = blobAt(body, 18 + stdout.length);
  return { id, kind: 'ended', timedOut, exitCode: code < 0 ? null : code, signal: signal === 0 ? null : signal, stdout, stderr };
}

function blobAt(body: Buffer, at: number): Buffer {
  const size = body.readUInt32LE(at);
  if (at + 4 + size > body.length) throw new RangeError('blob beyond its frame');
  return body.subarray(at + 4, at + 4 + size);
}

/** Cuts a byte stream into the bodies of its frames. */
export class FrameSplitter {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const bodies: Buffer[] = [];
    while (this.#pending.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#pending.readUInt32LE(0);
      if (this.#pending.length < end) break;
      bodies.push(this.#pending.subarray(HEAD_BYTES, end));
      this.#pending = this.#pending.subarray(end);
    }
    return bodies;
  }
}
