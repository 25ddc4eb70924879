import { sandboxConditionSchema, type ContainerView, type SandboxCondition } from '#contracts';
import type { Container, HostEvent } from '#engine';
import { CodedError, isCodedError } from '#kernel';
import { RpcLater } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { containerView } from './container-views.js';
import { hostRoute, parse, required, type HostCall } from './host-route.js';
import type { HostServices } from './host-services.js';

/** What an event says by itself: a container may be in another state again when it is looked at. */
const CONDITION_OF: Readonly<Record<string, SandboxCondition>> = { start: 'running', unpause: 'running', pause: 'paused', die: 'stopped', destroy: 'removed', 'health_status: healthy': 'healthy' };

type Services = Pick<HostServices, 'containers' | 'events'>;

/** GET `/container/reached?ref=&condition=`: the view when the condition holds, or has held meanwhile. `{removed: true}` when the container is gone. */
export function containerReachedRoute(services: Services): RpcRoute {
  return hostRoute('GET', '/container/reached', async (call) => {
    const condition = parse(sandboxConditionSchema, call.query.get('condition'));
    const { id, effective } = await services.containers.get(call.tenantId, required(call, 'ref'));
    if (condition === 'healthy' && effective.health === undefined) throw new CodedError('failed_precondition', `container ${id} has no health check`);
    // Before the state is looked at: what changes from now on is heard.
    const events = services.events.follow(call.tenantId, undefined, call.signal);
    return new RpcLater(untilReached(services, call, id, { condition, events }));
  });
}

async function untilReached({ containers }: Services, { tenantId }: HostCall, id: string, { condition, events }: { readonly condition: SandboxCondition; readonly events: AsyncIterable<HostEvent> }): Promise<{ view: ContainerView } | { removed: true }> {
  const look = async (): Promise<Container | undefined> => {
    try {
      return await containers.get(tenantId, id);
    } catch (error) {
      if (isCodedError(error, 'not_found')) return undefined;
      throw error;
    }
  };
  let container = await look();
  if (container !== undefined && !holds(condition, container)) {
    for await (const event of events) {
      if (event.type !== 'container' || event.id !== id) continue;
      container = await look();
      if (container === undefined || CONDITION_OF[event.action] === condition || holds(condition, container)) break;
    }
  }
  if (container !== undefined) return { view: containerView(container, undefined) };
  if (condition === 'removed' || condition === 'stopped') return { removed: true };
  throw new CodedError('gone', `container ${id} was removed meanwhile`);
}

function holds(condition: SandboxCondition, { state }: Container): boolean {
  switch (condition) {
    case 'running':
    case 'paused':
      return state.status === condition;
    case 'stopped':
      return state.status === 'exited' || state.status === 'dead';
    case 'healthy':
      return state.status === 'running' && state.health?.status === 'healthy';
    case 'removed':
      return false;
  }
}
