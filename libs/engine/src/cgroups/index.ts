export * from './cgroups.js';
