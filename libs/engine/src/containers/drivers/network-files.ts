import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { asError, errnoOf, type Logger } from '#kernel';
import { KeyedQueue, settleAll } from '../../linux/index.js';
import type { SandboxMount } from '../../runtime/index.js';
import { formatHosts, type HostsEntry } from './hosts-file.js';

const NAMES = ['hosts', 'hostname', 'resolv.conf'] as const;
type Name = (typeof NAMES)[number];

/** A guest may have put anything there: what is larger is left alone. */
const MAX_BYTES = 256 * 1024;
const FILE_MODE = 0o644;

export interface NetworkFileTexts {
  readonly hosts: readonly HostsEntry[];
  readonly hostname: string;
  readonly resolver: ResolverText;
}

export interface ResolverText {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/**
 * `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of containers, each container's in a folder on its tenant's disk that no guest sees: the files alone are
 * mounted into the sandbox, and written where they stand, since a new file would not be the one that is mounted.
 */
export class NetworkFiles {
  private readonly edits = new KeyedQueue();

  constructor(private readonly logger: Logger) {}

  /** For a start: whatever a guest has written into them is gone. */
  async write(folder: string, { hosts, hostname, resolver }: NetworkFileTexts): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const texts: Record<Name, string> = { hosts: formatHosts(hosts), hostname: `${hostname}\n`, 'resolv.conf': formatResolver(resolver) };
    await this.edits.run(folder, async () => {
      await settleAll(NAMES.map((name) => overwrite(join(folder, name), texts[name])));
    });
  }

  /** Changes `/etc/hosts` of a running container. What a guest has made of it that cannot be read as such a file stays as it is. */
  async editHosts(folder: string, edit: (text: string) => string): Promise<void> {
    await this.edits.run(folder, async () => {
      try {
        await rewrite(join(folder, 'hosts'), edit);
      } catch (error) {
        // Its tenant's disk is full, or a guest has a lease on it.
        this.logger.warn({ err: asError(error), folder }, 'containers: /etc/hosts of a container could not be changed');
      }
    });
  }

  mounts(folder: string, options: { readonly readOnly: boolean; readonly taken: ReadonlySet<string> }): SandboxMount[] {
    return NAMES.flatMap((name): SandboxMount[] => {
      const destination = `/etc/${name}`;
      return options.taken.has(destination) ? [] : [{ kind: 'bind', destination, source: { base: folder, path: name, ensureDirectory: false, readOnly: options.readOnly } }];
    });
  }
}

export function formatResolver({ servers, search, options }: ResolverText): string {
  const domains = search.filter((domain) => domain !== '.');
  return [...servers.map((server) => `nameserver ${server}`), ...(domains.length === 0 ? [] : [`search ${domains.join(' ')}`]), ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]), ''].join('\n');
}

/** Never truncated before it is written: a full disk must not take what is there. Without waiting for a lease that a guest holds. */
async function overwrite(path: string, text: string): Promise<void> {
  const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
  try {
    const bytes = Buffer.from(text);
    await file.write(bytes, 0, bytes.length, 0);
    await file.truncate(bytes.length);
    await file.chmod(FILE_MODE);
    await file.chown(0, 0);
  } finally {
    await file.close();
  }
}

async function rewrite(path: string, edit: (text: string) => string): Promise<void> {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
  let text: string;
  try {
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const { size } = await file.stat();
      if (size > MAX_BYTES) return;
      const bytes = Buffer.alloc(size);
      const { bytesRead } = await file.read(bytes, 0, size, 0);
      text = bytes.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  const edited = edit(text);
  if (edited !== text) await overwrite(path, edited);
}
