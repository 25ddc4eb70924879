import { CodedError } from '#kernel';
import type { Sandbox } from '../../runtime/index.js';
import type { CreateContainer, UpdateContainer } from '../containers.js';
import { mergeResources, sandboxLimits } from './container-limits.js';
import type { ContainerDefaults } from './container-services.js';

export interface UpdateParts {
  readonly request: CreateContainer;
  /** Undefined: it does not run. */
  readonly sandbox: Sandbox | undefined;
  readonly defaults: ContainerDefaults;
  /** Keeps the request as it is from now on. */
  readonly save: (request: CreateContainer) => Promise<void>;
}

/** All of it, in force and kept, or nothing. @throws CodedError `conflict`, as `Sandbox.updateLimits` */
export async function updateContainer({ limits: change, restart }: UpdateContainer, { request, sandbox, defaults, save }: UpdateParts): Promise<void> {
  const limits = mergeResources(request.limits, change);
  if (restart !== undefined && restart.kind !== 'no' && request.autoRemove) throw new CodedError('conflict', 'Restart policy cannot be updated because AutoRemove is enabled for the container');
  try {
    await sandbox?.updateLimits(sandboxLimits(limits, defaults));
    await save({ ...request, limits, ...(restart === undefined ? {} : { restart }) });
  } catch (error) {
    await sandbox?.updateLimits(sandboxLimits(request.limits, defaults)).catch(() => undefined);
    throw error;
  }
}
