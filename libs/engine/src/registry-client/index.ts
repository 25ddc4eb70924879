export * from './registry-client.js';
export { RegistryTransfers, type RegistryTransfersOptions } from './drivers/registry-transfers.js';
