/** What a name stands for while words are expanded; undefined: nothing. */
export type Variables = (name: string) => string | undefined;

/** `NAME=value` entries; the last one of a name counts. */
export function variablesOf(...lists: readonly (readonly string[])[]): Variables {
  const map = new Map<string, string>();
  for (const entry of lists.flat()) {
    const mark = entry.indexOf('=');
    if (mark > 0) map.set(entry.slice(0, mark), entry.slice(mark + 1));
  }
  return (name) => map.get(name);
}
