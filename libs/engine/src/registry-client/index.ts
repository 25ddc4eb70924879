export * from './registry-client.js';
export { RegistryTransfers, type RegistryTransfersOptions } from './drivers/registry-transfers.js';
export { UrlFetcher, type FetchedUrl, type UrlReply, type UrlRequest } from './drivers/url-fetcher.js';
