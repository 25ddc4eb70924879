export * from './images.js';
export * from './tenant-images.js';
export { FsImageStore, type FsImageStoreOptions } from './drivers/fs-image-store.js';
