import { lookup } from 'node:dns/promises';

/** The addresses of the hosts that these URLs (or lines with one) name, as ranges of one: `192.0.2.1/32`. What has none is left out: who asks for it will hear so. */
export async function mirrorAddresses(texts: readonly string[]): Promise<string[]> {
  const hosts = new Set(texts.flatMap((text) => /https?:\/\/(?:[^/\s@]*@)?([^/:\s]+)/.exec(text)?.[1] ?? []));
  const found = await Promise.all([...hosts].map((host) => lookup(host, { all: true, family: 4 }).catch(() => [])));
  return [...new Set(found.flat().map(({ address }) => `${address}/32`))];
}
