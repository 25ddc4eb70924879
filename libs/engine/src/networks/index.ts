export * from './networks.js';
export { LinuxNetworks, type LinuxNetworksOptions } from './drivers/linux-networks.js';
