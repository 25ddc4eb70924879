import type { CodedError } from '#kernel';

type Code = ConstructorParameters<typeof CodedError>[0];

const FAILURES: readonly [RegExp, Code, string][] = [
  [/No space left on device|enough free space/, 'resource_exhausted', 'the disk is full'],
  [/Unable to locate package|has no installation candidate/, 'failed_precondition', 'a package does not exist in this Debian suite'],
  [/NO_PUBKEY|is not signed|signatures couldn't be verified|EXPKEYSIG/, 'failed_precondition', "the packages' signatures cannot be verified: update the package debian-archive-keyring"],
  [/Could not resolve|Temporary failure resolving|Could not connect|Unable to connect|Connection (?:failed|timed out|refused)|Failed to fetch/, 'unavailable', 'the package mirror cannot be reached'],
];

/** What apt's and mmdebstrap's last lines say went wrong, with the lines that name the mirror or the package; undefined when they tell nothing that we know. */
export function packageFailure(lines: readonly string[]): { readonly code: Code; readonly message: string } | undefined {
  const text = lines.join('\n');
  const found = FAILURES.find(([pattern]) => pattern.test(text));
  if (found === undefined) return undefined;
  const words = lines.map((line) => line.trim()).filter((line) => /^(?:E:|Err:|W: Failed)/.test(line));
  return { code: found[1], message: `${found[2]}: ${[...new Set(words)].slice(0, 4).join(' | ').slice(0, 1000)}` };
}
