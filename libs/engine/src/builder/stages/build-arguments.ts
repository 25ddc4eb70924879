import type { Variables } from '../words/variables.js';

/** Known without being declared, and in neither cache keys nor history: they say how to reach the network, not what to build. */
export const PROXY_ARGUMENTS: ReadonlySet<string> = new Set(['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'FTP_PROXY', 'ftp_proxy', 'NO_PROXY', 'no_proxy', 'ALL_PROXY', 'all_proxy']);

export interface BuildPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** What FROM lines see without an ARG, and stages after an ARG without a value. */
export function platformArguments(build: BuildPlatform, target: BuildPlatform): ReadonlyMap<string, string> {
  const of = (prefix: string, { os, architecture, variant = '' }: BuildPlatform): [string, string][] => [
    [`${prefix}PLATFORM`, [os, architecture, ...(variant === '' ? [] : [variant])].join('/')],
    [`${prefix}OS`, os],
    [`${prefix}ARCH`, architecture],
    [`${prefix}VARIANT`, variant],
  ];
  return new Map([...of('BUILD', build), ...of('TARGET', target)]);
}

/** Build arguments as an ARG declares them, in the order of the declarations. */
export class DeclaredArguments {
  private readonly values = new Map<string, string>();
  private readonly names = new Set<string>();

  constructor(
    /** What the client gave (`--build-arg`). */
    private readonly given: ReadonlyMap<string, string>,
    /** What an ARG without a value may take: the platform's, and those before the first FROM. */
    private readonly inherited: ReadonlyMap<string, string>,
  ) {}

  /** `fallback`: what the ARG itself says. */
  declare(name: string, fallback: string | undefined): void {
    this.names.add(name);
    const value = this.given.get(name) ?? fallback ?? this.inherited.get(name);
    if (value === undefined) this.values.delete(name);
    else this.values.set(name, value);
  }

  /** With or without a value. */
  declared(): readonly string[] {
    return [...this.names];
  }

  get(name: string): string | undefined {
    return this.values.get(name);
  }

  /** `NAME=value`, sorted: those that a RUN sees, without what the environment sets itself. */
  entries(env: Variables): string[] {
    return [...this.values]
      .filter(([name]) => env(name) === undefined)
      .map(([name, value]) => `${name}=${value}`)
      .sort();
  }

  /** Those of the proxies that were given, declared or not. */
  proxies(env: Variables): string[] {
    return [...this.given].filter(([name]) => PROXY_ARGUMENTS.has(name) && !this.values.has(name) && env(name) === undefined).map(([name, value]) => `${name}=${value}`);
  }
}
