export * from './content.js';
export { FsContentStore } from './drivers/fs-content-store.js';
