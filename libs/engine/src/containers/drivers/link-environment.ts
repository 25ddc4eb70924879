/** A container that another is linked to, as the other's environment tells of it. */
export interface LinkedContainer {
  readonly alias: string;
  /** Of the container that has the link. */
  readonly parentName: string;
  readonly address: string;
  /** `80/tcp`. */
  readonly ports: readonly string[];
  readonly env: readonly string[];
}

interface Port {
  readonly number: number;
  readonly protocol: string;
}

/** What an image's build has put there says nothing of the service. */
const NOT_TOLD = new Set(['HOME', 'PATH']);
/** So many in a row have a start and an end as well. */
const RANGE = 3;

/** Docker's variables of a link: the lowest port first, tcp before udp. */
export function linkEnvironment({ alias, parentName, address, ports, env }: LinkedContainer): string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const sorted = ports.map(portOf).sort((one, other) => one.number - other.number || (one.protocol < other.protocol ? -1 : 1));
  const [first] = sorted;
  const url = ({ number, protocol }: Port): string => `${protocol}://${address}:${number}`;
  const nameOf = ({ number, protocol }: Port): string => `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...rangesOf(sorted).flatMap(([start, end]) => [
      `${nameOf(start)}_START=${url(start)}`,
      `${nameOf(start)}_ADDR=${address}`,
      `${nameOf(start)}_PROTO=${start.protocol}`,
      `${nameOf(start)}_PORT_START=${start.number}`,
      `${nameOf(end)}_END=${url(end)}`,
      `${nameOf(start)}_PORT_END=${end.number}`,
    ]),
    ...sorted.flatMap((port) => [`${nameOf(port)}=${url(port)}`, `${nameOf(port)}_ADDR=${address}`, `${nameOf(port)}_PORT=${port.number}`, `${nameOf(port)}_PROTO=${port.protocol}`]),
    `${prefix}_NAME=/${parentName}/${alias}`,
    ...env.flatMap((entry) => {
      const at = entry.indexOf('=');
      return at < 0 || NOT_TOLD.has(entry.slice(0, at)) ? [] : [`${prefix}_ENV_${entry}`];
    }),
  ];
}

function rangesOf(sorted: readonly Port[]): (readonly [Port, Port])[] {
  const runs: Port[][] = [];
  for (const port of sorted) {
    const run = runs.at(-1);
    if (run !== undefined && port.number - (run.at(-1)?.number ?? 0) <= 1) run.push(port);
    else runs.push([port]);
  }
  return runs.flatMap((run) => {
    const [start, end] = [run[0], run.at(-1)];
    return run.length < RANGE || start === undefined || end === undefined ? [] : [[start, end] as const];
  });
}

function portOf(text: string): Port {
  const [number = '0', protocol = 'tcp'] = text.split('/');
  return { number: Number(number), protocol };
}
