export * from './registry-client.js';
export { RegistryTransfers, type RegistryTransfersOptions } from './drivers/registry-transfers.js';
export { UrlFetcher } from './drivers/url-fetcher.js';
