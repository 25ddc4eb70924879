import { z } from 'zod';
import { createContainerSchema, updateContainerSchema, type TenantLimits } from '#contracts';
import type { Container } from '#engine';
import { CodedError, isCodedError, type TenantId } from '#kernel';
import type { RpcRoute } from '../node/rpc-server.js';
import { containerView, createContainer, updateContainer } from './container-views.js';
import { bodyOf, flag, hostRoute, required, type HostCall } from './host-route.js';
import { ensureDisk, ensureTenant, type HostServices } from './host-services.js';
import { accepts, labelFilterSchema } from './label-filter.js';

const signalName = z.string().max(32);
const MAX_PS_ARGUMENTS = 1024;
const emptySchema = z.strictObject({});
const stopSchema = z.strictObject({ signal: signalName.optional(), timeoutSeconds: z.int().min(-1).max(86_400).optional() });
const killSchema = z.strictObject({ signal: signalName.optional() });
const renameSchema = z.strictObject({ name: z.string().max(1024) });

export function containerRoutes(services: HostServices): RpcRoute[] {
  const { containers } = services;
  const places = new ContainerPlaces(services);
  const view = async (container: Container, size: boolean) => containerView(container, size ? await usageOf(services, container) : undefined);
  /** A verb on one container; false means that there was nothing to do. */
  const verb = (name: string, act: (call: HostCall, ref: string) => Promise<boolean>): RpcRoute =>
    hostRoute('POST', `/container/${name}`, async (call) => ({ changed: await act(call, required(call, 'ref')) }));
  return [
    hostRoute('GET', '/containers', async (call) => {
      const all: unknown[] = [];
      for (const container of await containers.list(call.tenantId)) all.push(await view(container, flag(call, 'size')));
      return all;
    }),
    hostRoute('GET', '/container', async (call) => view(await containers.get(call.tenantId, required(call, 'ref')), flag(call, 'size'))),
    hostRoute('POST', '/containers', async (call) => {
      const request = createContainer(await bodyOf(call, createContainerSchema));
      const limits = call.limits();
      // What is there already needs no place.
      if (request.id !== undefined && (await isThere(services, call.tenantId, request.id))) return { id: request.id, warnings: [] };
      return places.within(call.tenantId, limits, async () => {
        await ensureDisk(services, call.tenantId, limits);
        return containers.create(call.tenantId, request);
      });
    }),
    hostRoute('DELETE', '/container', async (call) => {
      await containers.remove(call.tenantId, required(call, 'ref'), { force: flag(call, 'force'), volumes: flag(call, 'volumes') });
    }),
    hostRoute('POST', '/containers/prune', async (call) => {
      const filter = await bodyOf(call, labelFilterSchema);
      return containers.prune(call.tenantId, (container) => accepts(filter, { labels: container.effective.labels, createdAt: container.createdAt }));
    }),
    verb('start', async (call, ref) => {
      await bodyOf(call, emptySchema);
      await prepare(services, call);
      return containers.start(call.tenantId, ref, { publishOnNode: call.limits().publishPorts });
    }),
    verb('stop', async (call, ref) => containers.stop(call.tenantId, ref, await stopOptions(call))),
    verb('restart', async (call, ref) => {
      const options = await stopOptions(call);
      await prepare(services, call);
      await containers.restart(call.tenantId, ref, { ...options, publishOnNode: call.limits().publishPorts });
      return true;
    }),
    hostRoute('POST', '/container/update', async (call) => containers.update(call.tenantId, required(call, 'ref'), updateContainer(await bodyOf(call, updateContainerSchema)))),
    hostRoute('GET', '/container/top', async (call) => containers.top(call.tenantId, required(call, 'ref'), (call.query.get('psArgs') ?? '').slice(0, MAX_PS_ARGUMENTS))),
    verb('kill', async (call, ref) => {
      const { signal } = await bodyOf(call, killSchema);
      await containers.kill(call.tenantId, ref, signal);
      return true;
    }),
    verb('pause', (call, ref) => containers.pause(call.tenantId, ref).then(() => true)),
    verb('unpause', (call, ref) => containers.unpause(call.tenantId, ref).then(() => true)),
    verb('rename', async (call, ref) => {
      const { name } = await bodyOf(call, renameSchema);
      await containers.rename(call.tenantId, ref, name);
      return true;
    }),
    hostRoute('DELETE', '/link', (call) => containers.unlink(call.tenantId, required(call, 'name'))),
    hostRoute('GET', '/container/changes', async (call) => containers.changes(call.tenantId, required(call, 'ref'))),
  ];
}

/** Before anything of the tenant's runs. */
async function prepare(services: HostServices, call: HostCall): Promise<void> {
  await ensureTenant(services, call.tenantId, call.limits());
}

async function stopOptions(call: HostCall): Promise<{ signal?: string; timeoutSeconds?: number }> {
  const { signal, timeoutSeconds } = await bodyOf(call, stopSchema);
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }) };
}

/** Undefined when the container went away meanwhile. */
export async function usageOf({ containers }: HostServices, { tenantId, id }: Container): Promise<{ readonly writableBytes: number; readonly rootfsBytes: number } | undefined> {
  try {
    return await containers.usage(tenantId, id);
  } catch (error) {
    if (isCodedError(error, 'not_found')) return undefined;
    throw error;
  }
}

async function isThere({ containers }: HostServices, tenantId: TenantId, id: string): Promise<boolean> {
  return (await containers.list(tenantId)).some((container) => container.id === id);
}

/** Keeps a tenant within its number of containers, those that are just being made counted too. */
class ContainerPlaces {
  private readonly making = new Map<TenantId, number>();

  constructor(private readonly services: Pick<HostServices, 'containers'>) {}

  async within<T>(tenantId: TenantId, limits: TenantLimits, make: () => Promise<T>): Promise<T> {
    const { length } = await this.services.containers.list(tenantId);
    const making = this.making.get(tenantId) ?? 0;
    if (length + making >= limits.containers) throw new CodedError('quota_exceeded', `the tenant may have ${limits.containers} containers`, { limit: 'containers', containers: limits.containers });
    this.making.set(tenantId, making + 1);
    try {
      return await make();
    } finally {
      const left = (this.making.get(tenantId) ?? 1) - 1;
      if (left <= 0) this.making.delete(tenantId);
      else this.making.set(tenantId, left);
    }
  }
}
