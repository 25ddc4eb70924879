import type { TenantId } from '#kernel';
import type { AttachOptions, ContainerProcesses, CreateContainer, ExecSpec, ProcessStream } from '../index.js';
import { openContainerHost, type ContainerHost } from './container-host.js';
import { containerOf, describeLeftovers } from './container-requests.js';
import { execOf, LOOK } from './process-streams.js';

/** Ends when it is told to, and does nothing until then. */
export const IDLE = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.05; done'];

/** A node with one tenant, for tests of what runs in its containers. */
export class ProcessHost {
  private constructor(
    readonly node: ContainerHost,
    readonly tenant: TenantId,
  ) {}

  static async open(name: string): Promise<ProcessHost> {
    const node = await openContainerHost(name);
    const tenant = await node.newTenant();
    await node.importImage(tenant, 'busybox', 'chmod 1777 tmp', { Cmd: ['sh'], Env: ['FROM_IMAGE=1'] });
    return new ProcessHost(node, tenant);
  }

  get processes(): ContainerProcesses {
    return this.node.containers.processes;
  }

  async create(command: readonly string[], process: Partial<CreateContainer['process']> = {}, more: Partial<CreateContainer> = {}): Promise<string> {
    const request = containerOf(command, more);
    return (await this.node.containers.create(this.tenant, { ...request, process: { ...request.process, ...process } })).id;
  }

  async run(command: readonly string[], process: Partial<CreateContainer['process']> = {}, more: Partial<CreateContainer> = {}): Promise<string> {
    const id = await this.create(command, process, more);
    await this.node.containers.start(this.tenant, id);
    return id;
  }

  attach(container: string, options: Partial<AttachOptions> = {}): Promise<ProcessStream> {
    return this.processes.attach(this.tenant, container, { ...LOOK, ...options });
  }

  /** Started, and attached before that. */
  async exec(container: string, argv: readonly string[], more: Partial<ExecSpec> = {}, options: Partial<AttachOptions> = {}): Promise<{ id: string; stream: ProcessStream }> {
    const { id } = await this.processes.createExec(this.tenant, container, execOf(argv, more));
    const stream = await this.attachExec(id, { stdin: more.openStdin === true, ...options });
    await this.processes.startExec(this.tenant, id);
    return { id, stream };
  }

  attachExec(id: string, options: Partial<AttachOptions> = {}): Promise<ProcessStream> {
    return this.processes.attachExec(this.tenant, id, { ...LOOK, ...options });
  }

  async removeAll(): Promise<void> {
    for (const { id } of await this.node.containers.list(this.tenant)) await this.node.containers.remove(this.tenant, id, { force: true, volumes: true });
  }

  /** @returns what was left */
  async close(): Promise<string[]> {
    await this.node.containers.drop(this.tenant);
    const left = await describeLeftovers(this.node, [this.tenant]);
    await this.node.dispose();
    return left;
  }
}
