import { parseId } from '#kernel';
import type { RpcRoute } from '../node/rpc-server.js';
import type { ActiveOperations } from './active-operations.js';

/** Who may ask is the gateway's to decide. */
export function operationRoutes(active: ActiveOperations): RpcRoute[] {
  return [
    {
      method: 'POST',
      path: /^\/operations\/([^/]+)\/cancel$/,
      handle: ({ groups }) => {
        active.cancel(parseId('operation', groups[0]));
        return Promise.resolve({});
      },
    },
  ];
}
