import type { RpcRoute } from '../node/rpc-server.js';
import type { RuntimeInstalls } from './runtime-installs.js';

/** Who may ask is the gateway's to decide. */
export function runtimeRoutes(installs: Pick<RuntimeInstalls, 'begin' | 'get'>): RpcRoute[] {
  const path = /^\/runtimes\/([^/]+)\/install$/;
  return [
    { method: 'POST', path, handle: ({ groups }) => Promise.resolve().then(() => installs.begin(nameOf(groups))) },
    { method: 'GET', path, handle: ({ groups }) => Promise.resolve().then(() => installs.get(nameOf(groups))) },
  ];
}

function nameOf(groups: readonly string[]): string {
  try {
    return decodeURIComponent(groups[0] ?? '');
  } catch {
    return '';
  }
}
