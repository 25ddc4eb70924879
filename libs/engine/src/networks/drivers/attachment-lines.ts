import { CodedError } from '#kernel';
import { HOST_TABLE } from '../host-rules.js';
import { formatIpv4, parseSubnet } from '../ipv4.js';
import { macOf } from '../net-helper.js';
import { addElements, allowedElement, memberElement, nodePortElement, pinnedElement, policedElement, portElement, removeElements, type RuleElement } from '../rule-elements.js';
import { gatewayPlace, portTargets, type Attached, type Place } from './attached.js';
import { gatewayText } from './tenant-networks.js';

/** What Docker gives every container's name space. */
const GUEST_SYSCTLS = { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' };
const SYSCTL_NAME = /^net(\.[\w-]+)+$/;
/** One value is one line. */
const SYSCTL_VALUE = /^[\x20-\x7e]{1,1000}$/;

/** Elements of the rules that are an endpoint's. */
export function placeElements({ egress, pins }: Pick<Attached, 'egress' | 'pins'>, { hostLink, macAddress, address }: Place, now: number): RuleElement[] {
  const member = memberElement(hostLink, macAddress, address);
  if (egress.kind === 'all') return [member];
  const cidrs = egress.kind === 'allow' ? egress.cidrs : [];
  const pinned = [...pins].filter(([, until]) => until > now).map(([destination, until]) => pinnedElement(address, destination, until - now));
  return [member, policedElement(address), ...pinned, ...cidrs.flatMap((text) => parseSubnet(text) ?? []).map((subnet) => allowedElement(address, subnet))];
}

export function portElements(attached: Attached): RuleElement[] {
  const targets = portTargets(attached);
  return [...targets.map(portElement), ...(attached.publishOnNode ? targets.map(nodePortElement) : [])];
}

export function attachedElements(attached: Attached, now = Date.now()): RuleElement[] {
  return [...attached.places.flatMap((place) => placeElements(attached, place, now)), ...portElements(attached)];
}

/**
 * Lines of `sandbar-net apply` in the spaces `host` and `guest` that give a container a place. Its link goes up last: nothing passes before its
 * rules are there.
 */
export function placeLines(attached: Attached, place: Place, mtu: number, now = Date.now()): string[] {
  const { bridge, interfaceName, hostLink, macAddress, address } = place;
  return [
    `veth host ${hostLink} fe${macOf(address).slice(2)} ${mtu} guest ${interfaceName} ${macAddress}`,
    `master host ${hostLink} ${bridge.link}`,
    `sysctl? guest ipv6/conf/${interfaceName}/disable_ipv6 1`,
    `address guest ${interfaceName} ${formatIpv4(address)} ${bridge.subnet.prefix}`,
    `up guest ${interfaceName}`,
    ...addElements('host', HOST_TABLE, placeElements(attached, place, now)),
    `up host ${hostLink}`,
  ];
}

export function routeLines(attached: Attached): string[] {
  const place = gatewayPlace(attached);
  return place === undefined ? [] : [`route guest 0.0.0.0 0 ${gatewayText(place.bridge)} ${place.interfaceName}`];
}

export function portLines(attached: Attached): string[] {
  return addElements('host', HOST_TABLE, portElements(attached));
}

/** @throws CodedError `invalid_argument` */
export function sysctlLines(sysctls: Readonly<Record<string, string>>): string[] {
  return Object.entries({ ...GUEST_SYSCTLS, ...sysctls }).map(([name, value]) => {
    if (!SYSCTL_NAME.test(name) || !SYSCTL_VALUE.test(value)) throw new CodedError('invalid_argument', `sysctl ${name.slice(0, 100)} is not one of a network name space, or its value is none`, {});
    return `sysctl guest ${name.split('.').slice(1).join('/')} ${value}`;
  });
}

/** In the space `host`. What is not there is fine. */
export function removeLines(attached: Attached, places: readonly Place[], elements: readonly RuleElement[], now = Date.now()): string[] {
  return [...places.map(({ hostLink }) => `delete host ${hostLink}`), ...removeElements('host', HOST_TABLE, [...elements, ...places.flatMap((place) => placeElements(attached, place, now))])];
}
