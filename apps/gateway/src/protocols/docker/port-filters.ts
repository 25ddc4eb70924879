import { badParameter } from './errors.js';
import type { DockerFilters } from './filters.js';

const FORM = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i;

/** `80`, `80/udp`, `8000-8080`: whether one of the filter's values names the port. @throws CodedError `invalid_argument` */
export function acceptsPort(filters: DockerFilters, name: 'publish' | 'expose', ports: readonly { readonly port: number; readonly protocol: string }[]): boolean {
  return !filters.has(name) || filters.get(name).some((value) => within(value, ports));
}

function within(value: string, ports: readonly { readonly port: number; readonly protocol: string }[]): boolean {
  const [matched, first = '', last = first, protocol = 'tcp'] = FORM.exec(value) ?? [];
  if (matched === undefined || Number(first) > Number(last) || Number(last) > 65_535) throw badParameter(`invalid port specification: "${value.slice(0, 100)}"`);
  return ports.some((one) => one.protocol === protocol.toLowerCase() && one.port >= Number(first) && one.port <= Number(last));
}
