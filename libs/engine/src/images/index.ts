export * from './images.js';
export * from './tenant-images.js';
export * from './media-types.js';
export { MAX_DOCUMENT_BYTES, MAX_INDEX_ENTRIES, MAX_LAYERS, documentKind, parseDescriptor, parseIndex, parseManifest, parseObject } from './documents.js';
export type { Descriptor, ImageIndex, IndexEntry, Manifest, Platform } from './documents.js';
export { parseContainerConfig, parseImageConfig } from './image-config.js';
export * from './platforms.js';
export { FsImageStore, type FsImageStoreOptions } from './drivers/fs-image-store.js';
export { decompressed } from './drivers/decompress.js';
