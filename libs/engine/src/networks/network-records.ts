import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger, TenantId } from '#kernel';
import { removeFile, writeFileDurably } from '../linux/index.js';
import type { Network } from './networks.js';

const ID = /^[0-9a-f]{64}$/;

/** Records of the networks that tenants made: `<root>/<tenant>/networks/<id>.json`, each replaced as a whole. */
export class NetworkRecords {
  constructor(
    private readonly root: string,
    private readonly logger: Logger,
  ) {}

  async write(network: Network): Promise<void> {
    await mkdir(this.#dir(network.tenantId), { recursive: true, mode: 0o700 });
    await writeFileDurably(this.#path(network), JSON.stringify({ version: 1, network }));
  }

  async remove(network: Network): Promise<void> {
    await removeFile(this.#path(network));
  }

  /** Oldest first. One that cannot be read is left where it is, and out. */
  async load(tenantId: TenantId): Promise<Network[]> {
    const names = await readdir(this.#dir(tenantId)).catch(() => []);
    const networks: Network[] = [];
    for (const name of names) {
      if (!ID.test(name.replace(/\.json$/, ''))) continue;
      const network = parse(await readFile(join(this.#dir(tenantId), name), 'utf8'));
      if (network?.tenantId === tenantId && `${network.id}.json` === name) networks.push(network);
      else this.logger.error({ tenant: tenantId, record: name }, 'networks: a record is damaged');
    }
    return networks.sort((left, right) => left.createdAt - right.createdAt);
  }

  #dir(tenantId: TenantId): string {
    return join(this.root, tenantId, 'networks');
  }

  #path({ tenantId, id }: Network): string {
    return join(this.#dir(tenantId), `${id}.json`);
  }
}

function parse(text: string): Network | undefined {
  try {
    const value = JSON.parse(text) as { version?: unknown; network?: Partial<Network> };
    const { network } = value;
    const whole = value.version === 1 && typeof network?.name === 'string' && network.driver === 'bridge' && typeof network.subnet === 'string' && typeof network.gateway === 'string' && typeof network.createdAt === 'number';
    // JSON leaves out what is undefined.
    return whole ? { ...(network as Network), ipRange: network.ipRange } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
