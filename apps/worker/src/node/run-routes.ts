import { runStdinSchema } from '#contracts';
import { CodedError, parseId } from '#kernel';
import type { ActiveRun, ActiveRuns } from '../runs/active-runs.js';
import type { RpcRoute } from './rpc-server.js';

/** What gateways ask of a node about the runs it holds. Who may ask is theirs to decide. */
export function runRoutes(active: ActiveRuns): RpcRoute[] {
  const find = (id: string | undefined): ActiveRun => {
    const run = active.get(parseId('run', id));
    if (run === undefined) throw new CodedError('not_found', 'this node does not hold that run');
    return run;
  };
  return [
    {
      method: 'POST',
      path: /^\/runs\/([^/]+)\/cancel$/,
      // Answered at once: the end comes as an event.
      handle: ({ groups }) => {
        find(groups[0]).interrupt('cancelled');
        return Promise.resolve({});
      },
    },
    {
      method: 'POST',
      path: /^\/runs\/([^/]+)\/stdin$/,
      handle: async ({ groups, json }) => {
        // Asked for before the body is read: calls keep their order by the time their body is whole.
        const run = find(groups[0]);
        const parsed = runStdinSchema.safeParse((await json()) ?? {});
        if (!parsed.success) throw new CodedError('invalid_argument', parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
        if (run.stdin === undefined) throw new CodedError('failed_precondition', 'the program has not started yet', { started: false });
        const { data, encoding, eof } = parsed.data;
        await run.stdin.write(Buffer.from(data, encoding), eof);
        return {};
      },
    },
  ];
}
