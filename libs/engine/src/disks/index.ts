export * from './disks.js';
