export * from './snapshots.js';
export { chainIdOf } from './chain-id.js';
export { OverlaySnapshotter } from './drivers/overlay-snapshotter.js';
