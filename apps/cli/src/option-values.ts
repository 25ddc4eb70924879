import { CliError, EXIT } from './failure.js';

/** Of an option that may come several times. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** `NAME=VALUE` each; one without `=` has the value that `fallback` knows. @throws CliError */
export function pairs(options: readonly string[], fallback: (name: string) => string | undefined): Record<string, string> {
  return Object.fromEntries(
    options.map((option) => {
      const cut = option.indexOf('=');
      const name = cut === -1 ? option : option.slice(0, cut);
      const value = cut === -1 ? fallback(name) : option.slice(cut + 1);
      if (value === undefined) throw new CliError(`${option}: give NAME=VALUE`, '', EXIT.usage);
      return [name, value];
    }),
  );
}
