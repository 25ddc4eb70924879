export * from './disks.js';
export { LoopDisks, type LoopDisksOptions } from './drivers/loop-disks.js';
