/** One way to authenticate that a server offers (RFC 9110, 11.6.1). */
export interface Challenge {
  readonly scheme: 'basic' | 'bearer';
  readonly parameters: Readonly<Record<string, string>>;
}

const PARAMETER = /^[\s,]*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/;
const SCHEME = /^[\s,]*([A-Za-z][\w-]*)(?:\s+|$)/;
const MAX_HEADER = 8192;

/** The first that is known; bearer before basic. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const found: Challenge[] = [];
  let rest = (header ?? '').slice(0, MAX_HEADER);
  for (let scheme = SCHEME.exec(rest); scheme; scheme = SCHEME.exec(rest)) {
    rest = rest.slice(scheme[0].length);
    const parameters: Record<string, string> = {};
    for (let parameter = PARAMETER.exec(rest); parameter; parameter = PARAMETER.exec(rest)) {
      rest = rest.slice(parameter[0].length);
      parameters[(parameter[1] ?? '').toLowerCase()] = parameter[2]?.replace(/\\(.)/g, '$1') ?? parameter[3] ?? '';
    }
    const name = scheme[1]?.toLowerCase();
    if (name === 'basic' || name === 'bearer') found.push({ scheme: name, parameters });
  }
  return found.find(({ scheme }) => scheme === 'bearer') ?? found[0];
}
