export * from './images.js';
export { FsImageStore, type FsImageStoreOptions } from './drivers/fs-image-store.js';
