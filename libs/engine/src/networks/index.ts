export * from './networks.js';
export { LinuxNetworks, type LinuxNetworksOptions } from './drivers/linux-networks.js';
export { findNetworkLeaks, type NetworkLeak, type NetworkLeakSearch } from './network-leaks.js';
