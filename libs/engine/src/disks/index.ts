export * from './disks.js';
export { LoopDisks, type LoopDisksOptions } from './drivers/loop-disks.js';
export { listLoopDevices, type LoopDevice } from './drivers/loop-mounts.js';
