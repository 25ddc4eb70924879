/** The exec form of a command (`["a", "b"]`); undefined when it is not a JSON list of strings, hence in the shell form. */
export function execFormOf(rest: string): string[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(rest);
    return Array.isArray(value) && value.every((word) => typeof word === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}
