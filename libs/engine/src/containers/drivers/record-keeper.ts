import type { HostEvents } from '../../events/index.js';
import type { ContainerRecord } from './container-record.js';
import type { ContainerRecords } from './container-records.js';

/** The record of one container as it is now: its changes, and the events that tell of it. */
export class RecordKeeper {
  constructor(
    private value: ContainerRecord,
    private readonly parts: { readonly records: Pick<ContainerRecords, 'save'>; readonly events: Pick<HostEvents, 'publish'> },
  ) {}

  get current(): ContainerRecord {
    return this.value;
  }

  /** True from now on when it is on disk. One at a time. What becomes of a transient container is not written: the next worker sweeps it by what its create has written. */
  async save(change: Partial<ContainerRecord>): Promise<void> {
    const next = { ...this.value, ...change };
    if (next.request.transient !== true) await this.parts.records.save(next);
    this.value = next;
  }

  /** For what is true though it could not be written. */
  assume(change: Partial<ContainerRecord>): void {
    this.value = { ...this.value, ...change };
  }

  publish(action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { tenantId, id, name, request, effective } = this.value;
    this.parts.events.publish(tenantId, { type: 'container', action, id, attributes: { ...effective.labels, image: request.image, name, ...attributes } });
  }
}
