import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeTar, type TarEntryInput } from '#engine';
import { CodedError, digestOf, type Digest } from '#kernel';

/** Of all files together: they lie in memory while the runtimes are looked at. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_FILES = 1000;

interface RuntimeFile {
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  readonly content: Buffer;
}

/** The files of a runtime's folder, as they go into its build. */
export class RuntimeFiles {
  /** The same whenever paths, contents and what is executable are the same. */
  readonly digest: Digest;

  private constructor(private readonly files: readonly RuntimeFile[]) {
    this.digest = digestOf(JSON.stringify(files.map(({ path, mode, content }) => [path, mode, digestOf(content)])));
  }

  /** @throws CodedError `failed_precondition`: what is no plain file or folder, or too much of it */
  static async read(folder: string, accepts: (path: string) => boolean = () => true): Promise<RuntimeFiles> {
    const files: RuntimeFile[] = [];
    let bytes = 0;
    for (const path of (await readdir(folder, { recursive: true })).sort()) {
      const found = await lstat(join(folder, path));
      if (found.isDirectory() || !accepts(path)) continue;
      if (!found.isFile()) throw new CodedError('failed_precondition', `${path} is no plain file`);
      bytes += found.size;
      if (bytes > MAX_BYTES || files.length >= MAX_FILES) throw new CodedError('failed_precondition', `the folder holds more than ${MAX_FILES} files or ${MAX_BYTES} bytes`);
      files.push({ path, mode: (found.mode & 0o100) === 0 ? 0o644 : 0o755, content: await readFile(join(folder, path)) });
    }
    return new RuntimeFiles(files);
  }

  static of(contents: Readonly<Record<string, string>>): RuntimeFiles {
    return new RuntimeFiles(Object.entries(contents).map(([path, text]) => ({ path, mode: 0o644, content: Buffer.from(text) })));
  }

  has(path: string): boolean {
    return this.files.some((file) => file.path === path);
  }

  /** The context of a build. */
  tar(): AsyncIterable<Buffer> {
    return writeTar(this.files.map(({ path, mode, content }): TarEntryInput => ({ path, type: 'file', mode, uid: 0, gid: 0, mtimeNs: 0n, size: content.length, content: [content] })));
  }
}
