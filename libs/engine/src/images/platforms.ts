import { CodedError, digestOf, type Digest } from '#kernel';
import { documentKind, parseIndex, parseManifest, type Descriptor, type ImageIndex, type IndexEntry, type Manifest, type Platform } from './documents.js';

/** An index may lead to an index, but not without end. */
const MAX_INDEX_DEPTH = 3;
const ARCHITECTURES: Readonly<Record<string, Platform>> = {
  x86_64: { os: 'linux', architecture: 'amd64' },
  'x86-64': { os: 'linux', architecture: 'amd64' },
  i386: { os: 'linux', architecture: '386' },
  i686: { os: 'linux', architecture: '386' },
  aarch64: { os: 'linux', architecture: 'arm64' },
  armhf: { os: 'linux', architecture: 'arm', variant: 'v7' },
  armel: { os: 'linux', architecture: 'arm', variant: 'v6' },
};

/** The architecture of this machine in GOARCH words, which image configs use. */
export function ociArchitecture(arch: string = process.arch): string {
  const words: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le', loong64: 'loong64' };
  return words[arch] ?? arch;
}

/** This machine's. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: 'linux', architecture: ociArchitecture() });
}

/** As containerd does it (platforms.Normalize): one spelling for each platform; a variant that is the architecture's default is left out, but 32-bit ARM's is said. */
export function normalizePlatform({ os, architecture, variant }: Platform): Platform {
  const lower = architecture.toLowerCase();
  const alias = Object.hasOwn(ARCHITECTURES, lower) ? ARCHITECTURES[lower] : undefined;
  const name = alias?.architecture ?? lower;
  const spelled = (variant ?? '') === '' ? alias?.variant : variant?.toLowerCase().replace(/^(\d)/, 'v$1');
  const isDefault = (name === 'amd64' && spelled === 'v1') || (name === 'arm64' && spelled === 'v8');
  const said = name === 'arm' ? (spelled ?? 'v7') : isDefault ? undefined : spelled;
  return { os: os.toLowerCase(), architecture: name, ...(said === undefined ? {} : { variant: said }) };
}

/**
 * The entry for a platform: the same variant, else the next lower one, else what 64-bit processors run too (containerd, platforms.Only). Attestations
 * (`unknown/unknown`) are passed over. Entries that name no platform are taken when no other fits.
 * @throws CodedError `unsupported` (`no matching manifest for linux/arm64 in the manifest list entries`)
 */
export function selectPlatform(index: ImageIndex, wanted: Platform): IndexEntry {
  const images = index.manifests.filter((entry) => entry.platform?.os !== 'unknown' && entry.annotations?.['vnd.docker.reference.type'] !== 'attestation-manifest');
  for (const choice of choicesFor(wanted)) {
    const found = images.find((entry) => entry.platform !== undefined && platformText(normalizePlatform(entry.platform)) === choice);
    if (found) return found;
  }
  const unnamed = images.find((entry) => entry.platform === undefined);
  if (unnamed) return unnamed;
  throw new CodedError('unsupported', `no matching manifest for ${platformText(normalizePlatform(wanted))} in the manifest list entries`, { platform: platformText(wanted) });
}

export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

/** Best first. */
function choicesFor(wanted: Platform): string[] {
  const { os, architecture, variant } = normalizePlatform(wanted);
  const of = (name: string, variants: readonly (string | undefined)[]): string[] => variants.map((each) => platformText({ os, architecture: name, ...(each === undefined ? {} : { variant: each }) }));
  const level = Number(/^v(\d+)/.exec(variant ?? '')?.[1] ?? Number.NaN);
  const down = (from: number, to: number): string[] => Array.from({ length: Math.max(0, from - to + 1) }, (_, step) => `v${from - step}`);
  if (architecture === 'amd64') return [...of('amd64', [...down(Number.isNaN(level) ? 0 : level, 2), undefined]), ...of('386', [undefined])];
  if (architecture === 'arm64') return [...of('arm64', [variant, ...(variant === undefined ? [] : [undefined])]), ...of('arm', down(8, 5))];
  if (architecture === 'arm') return of('arm', Number.isNaN(level) ? [variant] : down(level, 5));
  return of(architecture, [variant]);
}

export interface FoundManifest {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly manifest: Manifest;
  /** Digests of the indexes that led to it, outermost first. */
  readonly via: readonly Digest[];
}

/**
 * Follows a document to the manifest for a platform, through indexes. `read` gives the bytes of a descriptor, which are verified here.
 * @throws CodedError `unsupported` (no such platform, schema 1), `invalid_argument` (malformed, indexes too deep or in a circle), `digest_mismatch`
 */
export async function findManifest(bytes: Buffer, platform: Platform, read: (descriptor: Descriptor) => Promise<Buffer>, servedAs?: string): Promise<FoundManifest> {
  const via: Digest[] = [];
  let type = servedAs;
  for (let document = bytes; ; ) {
    const digest = digestOf(document);
    if (documentKind(document, type) === 'manifest') return { digest, bytes: document, manifest: parseManifest(document), via };
    if (via.includes(digest)) throw new CodedError('invalid_argument', 'image indexes lead to each other in a circle');
    via.push(digest);
    if (via.length > MAX_INDEX_DEPTH) throw new CodedError('invalid_argument', `image indexes are nested more than ${MAX_INDEX_DEPTH} deep`);
    const entry = selectPlatform(parseIndex(document), platform);
    document = await read(entry);
    const actual = digestOf(document);
    if (actual !== entry.digest || document.byteLength !== entry.size) throw new CodedError('digest_mismatch', 'an image document is not the one that its index names', { expected: entry.digest, actual });
    type = entry.mediaType;
  }
}
