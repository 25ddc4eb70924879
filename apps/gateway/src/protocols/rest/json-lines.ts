/** One JSON object a line. `watch` is armed while a line waits to be asked for: a reader that takes nothing for so long is cut. */
export async function* jsonLines(values: AsyncIterable<object>, watch: () => NodeJS.Timeout): AsyncGenerator<string> {
  for await (const value of values) {
    const timer = watch();
    try {
      yield `${JSON.stringify(value)}\n`;
    } finally {
      clearTimeout(timer);
    }
  }
}
