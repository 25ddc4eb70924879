import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, type TenantId } from '#kernel';
import { removeFile } from '../../linux/index.js';
import { isAttachmentState, type AttachmentState } from '../attachment-state.js';
import { readStateFile, writeStateFile } from '../host-state.js';
import type { Attached } from './attached.js';

const CONTAINER_ID = /^[A-Za-z0-9_-]{1,100}$/;

/** What is written down of attached containers: `<root>/<tenant>/attached/<container>.json`. */
export class AttachmentFiles {
  readonly #made = new Set<TenantId>();

  constructor(
    private readonly root: string,
    private readonly bootId: string,
  ) {}

  async write(tenantId: TenantId, attached: Attached, { whole }: { readonly whole: boolean }): Promise<void> {
    const { containerId, containerName, process, places, ports, publishOnNode, egress, pins } = attached;
    if (!this.#made.has(tenantId)) {
      await mkdir(this.#dir(tenantId), { recursive: true, mode: 0o700 });
      this.#made.add(tenantId);
    }
    const state: AttachmentState = {
      version: 1,
      containerId,
      containerName,
      process,
      bootId: this.bootId,
      endpoints: places.map(({ bridge, endpointId, interfaceName, hostLink, macAddress, address, aliases }) => ({ networkId: bridge.network.id, endpointId, interfaceName, hostLink, macAddress, address, aliases })),
      ports: ports.map(({ hostIp, ...port }) => ({ ...port, hostIp: hostIp ?? null })),
      publishOnNode,
      egress,
      pins: [...pins],
      whole,
    };
    await writeStateFile(join(this.#dir(tenantId), `${containerId}.json`), state);
  }

  async remove(tenantId: TenantId, containerId: string): Promise<void> {
    await removeFile(join(this.#dir(tenantId), `${containerId}.json`));
  }

  /** Of this boot of the machine; what else is there goes. */
  async load(tenantId: TenantId): Promise<AttachmentState[]> {
    const states: AttachmentState[] = [];
    for (const name of await namesIn(this.#dir(tenantId))) {
      const path = join(this.#dir(tenantId), name);
      const state = name.endsWith('.json') ? await readStateFile(path, isAttachmentState) : undefined;
      if (state?.bootId === this.bootId && `${state.containerId}.json` === name) states.push(state);
      else await removeFile(path);
    }
    return states;
  }

  async drop(tenantId: TenantId): Promise<void> {
    this.#made.delete(tenantId);
    await rm(this.#dir(tenantId), { recursive: true, force: true });
  }

  #dir(tenantId: TenantId): string {
    return join(this.root, tenantId, 'attached');
  }
}

export function isContainerId(text: string): boolean {
  return CONTAINER_ID.test(text);
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
