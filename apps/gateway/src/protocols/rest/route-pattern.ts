/** A path with `:name` parts, each of which matches one component that is not empty. */
export class RoutePattern {
  private readonly parts: readonly string[];

  constructor(readonly text: string) {
    this.parts = text.split('/');
  }

  /** The parameters, percent-decoded; undefined when the path does not match or is not decodable. */
  match(path: string): Record<string, string> | undefined {
    const given = path.split('/');
    if (given.length !== this.parts.length) return undefined;
    const parameters: Record<string, string> = {};
    for (const [index, part] of this.parts.entries()) {
      const value = given[index] ?? '';
      if (!part.startsWith(':')) {
        if (part !== value) return undefined;
        continue;
      }
      const decoded = decode(value);
      if (decoded === undefined || decoded === '') return undefined;
      parameters[part.slice(1)] = decoded;
    }
    return parameters;
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
