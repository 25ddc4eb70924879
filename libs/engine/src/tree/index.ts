export * from './tree.js';
export { HelperTrees, type HelperTreesOptions } from './drivers/helper-trees.js';
export { ClosingStream } from './closing-stream.js';
export type { GuestAttributes, GuestBytes, GuestEvent, GuestExtract, GuestFile, GuestRoot, GuestTrees } from './guest-trees.js';
export { HelperGuestTrees } from './drivers/helper-guest-trees.js';
