import { CodedError } from '#kernel';
import { HOST_TABLE } from '../host-rules.js';
import { formatIpv4 } from '../ipv4.js';
import { spaceLine, type NetHelper } from '../net-helper.js';
import type { PinnedAddress } from '../names/name-resolver.js';
import type { NodePublisher } from '../publish/node-publisher.js';
import type { Closable } from '../publish/proxy.js';
import { pinnedElement, renewElements } from '../rule-elements.js';
import { placeLines, portElements, portLines, removeLines, routeLines } from './attachment-lines.js';
import { gatewayPlace, type Attached, type Place } from './attached.js';
import type { TenantHost } from './tenant-host.js';

/** That answers of the resolver have opened to one container. */
const MOST_PINS = 2_048;

/** What was let through for it, or is translated to it, is nobody's any more: its address is given out again. */
function forgetLines({ egress, ports, places }: Attached): string[] {
  return egress.kind === 'all' && ports.length === 0 ? [] : places.map(({ address }) => `forget host ${formatIpv4(address)}`);
}

/** Makes in the host name space, in the container's and on the node what is reserved for a container, and takes it away. */
export class AttachmentChanges {
  readonly #proxies = new Map<string, Closable>();

  constructor(
    readonly host: TenantHost,
    private readonly helper: NetHelper,
    private readonly publisher: NodePublisher,
  ) {}

  /** Ports on the node; none when they are open already. @throws CodedError `conflict` */
  async publish(attached: Attached): Promise<void> {
    const { containerId, ports, publishOnNode } = attached;
    if (!publishOnNode || ports.length === 0 || this.#proxies.has(containerId)) return;
    this.#proxies.set(containerId, await this.publisher.open(ports, this.host.holder.uplink.tenantAddress));
  }

  /** Everything of a container that has nothing yet. */
  async make(attached: Attached, sysctls: readonly string[]): Promise<void> {
    const { places, process } = attached;
    await this.helper.apply([
      this.host.spaceLine(),
      spaceLine('guest', process),
      'up guest lo',
      ...places.flatMap((place) => placeLines(attached, place, this.host.mtu)),
      ...routeLines(attached),
      ...sysctls,
      ...portLines(attached),
    ]);
  }

  /** @param isGateway whether it is the container's first way out */
  async addPlace(attached: Attached, place: Place, isGateway: boolean): Promise<void> {
    const more = isGateway ? [...routeLines(attached), ...portLines(attached)] : [];
    await this.helper.apply([this.host.spaceLine(), spaceLine('guest', attached.process), ...placeLines(attached, place, this.host.mtu), ...more]);
  }

  /** What led out by it leads out by the next. */
  async removePlace(attached: Attached, place: Place): Promise<void> {
    const others: Attached = { ...attached, places: attached.places.filter((other) => other !== place) };
    const wasGateway = gatewayPlace(attached) === place;
    const next = wasGateway && others.places.length > 0 ? [spaceLine('guest', attached.process), ...routeLines(others), ...portLines(others)] : [];
    await this.helper.apply([this.host.spaceLine(), ...removeLines(attached, [place], wasGateway ? portElements(attached) : []), ...next]);
  }

  /** A place that was not made whole. */
  async undoPlace(attached: Attached, place: Place): Promise<void> {
    await this.helper.apply([this.host.spaceLine(), ...removeLines(attached, [place], [])]);
  }

  async takeAway(attached: Attached): Promise<void> {
    const proxies = this.#proxies.get(attached.containerId);
    this.#proxies.delete(attached.containerId);
    await proxies?.close();
    await this.helper.apply([this.host.spaceLine(), ...removeLines(attached, attached.places, portElements(attached)), ...forgetLines(attached)]);
  }

  /** Notes addresses as open. @throws CodedError `resource_exhausted` */
  notePins({ pins }: Attached, addresses: readonly PinnedAddress[], now: number): void {
    for (const [address, until] of pins) if (until <= now) pins.delete(address);
    if (pins.size + addresses.length > MOST_PINS) throw new CodedError('resource_exhausted', `a container has at most ${MOST_PINS} open addresses`, {});
    for (const { address, seconds } of addresses) pins.set(address, Math.max(pins.get(address) ?? 0, now + seconds * 1000));
  }

  /** Opens what has been noted, whatever network it leaves by. */
  async openPins({ places, pins }: Attached, addresses: readonly PinnedAddress[], now: number): Promise<void> {
    const elements = places.flatMap((place) => addresses.map(({ address }) => pinnedElement(place.address, address, (pins.get(address) ?? now) - now)));
    if (elements.length > 0) await this.helper.apply([this.host.spaceLine(), ...renewElements('host', HOST_TABLE, elements)]);
  }

  /** Ports on the node are open no longer: this process ends, or the tenant goes. */
  async close(): Promise<void> {
    const proxies = [...this.#proxies.values()];
    this.#proxies.clear();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  }
}
