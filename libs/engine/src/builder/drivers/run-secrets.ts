import { CodedError } from '#kernel';
import type { ContainerMount, StartSecrets } from '../../containers/index.js';
import { writeTar, type TarEntryInput } from '../../tar/index.js';
import { resolvedPath } from '../stages/config-changes.js';
import type { RunStep } from '../stages/steps.js';

/** Where the files of secrets are, in memory; what a RUN was promised to find is a link to one of them. */
export const SECRET_FOLDER = '/.build-secrets';
const FOLDER_BYTES = 16 * 1024 * 1024;
const FOLDER_MODE = 0o755;
const DEFAULT_MODE = 0o400;

type Mount = RunStep['mounts'][number];

interface SecretFile {
  readonly destination: string;
  readonly content: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The secrets that one RUN may see. Their values take part in no key, no history and no layer. */
export class RunSecrets {
  private readonly env: string[] = [];
  private readonly files: SecretFile[] = [];
  private readonly known = new Set<string>();

  constructor(private readonly given: ReadonlyMap<string, Uint8Array>) {}

  /** @throws CodedError `invalid_argument`: required, and not given; no id and no target */
  take(mount: Mount): void {
    const id = mount.id ?? mount.source ?? nameOf(mount.target);
    if (id === undefined || id === '') throw new CodedError('invalid_argument', '--mount=type=secret needs an id or a target');
    const content = this.given.get(id);
    if (content === undefined) {
      if (mount.required) throw new CodedError('invalid_argument', `secret ${id.slice(0, 100)}: not found`);
      return;
    }
    const text = Buffer.from(content).toString('utf8');
    this.known.add(text);
    if (mount.env !== undefined) this.env.push(`${mount.env}=${text}`);
    if (mount.env !== undefined && mount.target === undefined) return;
    const destination = resolvedPath('/run/secrets', mount.target ?? id);
    this.files.push({ destination, content, mode: mount.mode ?? DEFAULT_MODE, uid: mount.uid ?? 0, gid: mount.gid ?? 0 });
  }

  /** Where their files seem to be. */
  get destinations(): readonly string[] {
    return this.files.map(({ destination }) => destination);
  }

  /** As they may stand in what a program prints. */
  get texts(): readonly string[] {
    return [...this.known];
  }

  get mounts(): readonly ContainerMount[] {
    return this.files.length === 0 ? [] : [{ kind: 'tmpfs', destination: SECRET_FOLDER, sizeBytes: FOLDER_BYTES, mode: FOLDER_MODE, readOnly: false }];
  }

  /** Paths of the mounts that are none of the image's. */
  get folders(): readonly string[] {
    return this.files.length === 0 ? [] : [SECRET_FOLDER];
  }

  /** undefined: none were asked for. */
  start(): StartSecrets | undefined {
    return this.env.length + this.files.length === 0 ? undefined : { env: this.env, tar: writeTar(this.entries()) };
  }

  private *entries(): Generator<TarEntryInput, void, undefined> {
    for (const [number, { destination, content, mode, uid, gid }] of this.files.entries()) {
      const path = `${SECRET_FOLDER}/${number}`;
      yield { path: path.slice(1), type: 'file', mode, uid, gid, mtimeNs: 0n, size: content.length, content: [content] };
      yield { path: destination.slice(1), type: 'symlink', mode: 0o777, uid, gid, mtimeNs: 0n, linkname: path };
    }
  }
}

function nameOf(path: string | undefined): string | undefined {
  return path === undefined ? undefined : path.slice(path.lastIndexOf('/') + 1);
}
