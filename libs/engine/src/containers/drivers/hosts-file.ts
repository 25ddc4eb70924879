/** The text of `/etc/hosts`. Guests may write it: what is changed later is changed line by line, and the rest stays as it is. */

const OWN_LINES = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', 'fe00::\tip6-localnet', 'ff00::\tip6-mcastprefix', 'ff02::1\tip6-allnodes', 'ff02::2\tip6-allrouters'] as const;

export interface HostsEntry {
  readonly address: string;
  /** The first is what an entry is found by. */
  readonly names: readonly string[];
}

export function formatHosts(entries: readonly HostsEntry[]): string {
  return [...OWN_LINES, ...entries.map(lineOf), ''].join('\n');
}

/** Every line of that first name gets the address; none is added. */
export function withAddress(text: string, name: string, address: string): string {
  return lines(text)
    .map((line) => (firstName(line) === name ? line.replace(/^\S+/, address) : line))
    .join('\n');
}

export function withEntry(text: string, entry: HostsEntry): string {
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  return `${text}${end}${lineOf(entry)}\n`;
}

/** Lines of that address and first name go. */
export function withoutEntry(text: string, { address, names }: HostsEntry): string {
  return lines(text)
    .filter((line) => !(firstName(line) === names[0] && line.startsWith(`${address}\t`)))
    .join('\n');
}

/** Every line of that first name goes. */
export function withoutName(text: string, name: string): string {
  return lines(text)
    .filter((line) => firstName(line) !== name)
    .join('\n');
}

function lineOf({ address, names }: HostsEntry): string {
  return `${address}\t${names.join(' ')}`;
}

function lines(text: string): string[] {
  return text.split('\n');
}

function firstName(line: string): string | undefined {
  return /^[0-9a-fA-F.:]+\s+(\S+)/.exec(line)?.[1];
}
