/** Something that builds keep for the next ones: what a step came to, or the content of a cache mount. */
export interface CacheRecord {
  /** Of a step the 64 hex digits of its image, of a mount the name of its volume. */
  readonly id: string;
  readonly kind: 'step' | 'mount';
  /** Of the step before, when it is kept too. */
  readonly parent: string | undefined;
  /** The step's line in the history, or what the mount is for. */
  readonly description: string;
  /** Of a step, its own layer. */
  readonly sizeBytes: number;
  /** Milliseconds. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly uses: number;
  /** A container stands on it. */
  readonly inUse: boolean;
  /** A part of an image that stays: it takes no room of its own. */
  readonly shared: boolean;
}

/** What of the cache is to go. Nothing said: all that can. */
export interface CachePruning {
  readonly accepts?: (record: CacheRecord) => boolean;
  /** Goes on, from what was used longest ago, until no more than this is left. */
  readonly keepBytes?: number;
}
