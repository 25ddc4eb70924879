export * from './registry-client.js';
