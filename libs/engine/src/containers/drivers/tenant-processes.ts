import { CodedError, isCodedError, type TenantId } from '#kernel';
import type { AttachOptions, ContainerProcesses, Exec, ExecSpec, ProcessStream, TerminalSize } from '../processes.js';
import type { ContainerExec } from './container-exec.js';
import type { ContainerExecution } from './container-execution.js';
import type { ContainerLife } from './container-life.js';
import { checkExec } from './exec-plan.js';
import { parseSignal } from './signals.js';

const ID = /^[0-9a-f]{64}$/;

/** A tenant's containers, by what the processes need of them. */
export interface ContainerFinder {
  /** @throws CodedError `not_found`, `invalid_argument` */
  find(tenantId: TenantId, text: string): ContainerLife;
  all(tenantId: TenantId): Iterable<ContainerLife>;
}

interface FoundExec {
  readonly life: ContainerLife;
  readonly exec: ContainerExec;
}

export class TenantProcesses implements ContainerProcesses {
  constructor(private readonly containers: ContainerFinder) {}

  async attach(tenantId: TenantId, text: string, options: AttachOptions): Promise<ProcessStream> {
    const life = this.containers.find(tenantId, text);
    await life.processes.ending();
    return life.turn(() => {
      if (life.record.status === 'paused') throw new CodedError('conflict', 'You cannot attach to a paused container, unpause it first');
      life.publish('attach');
      return Promise.resolve(life.processes.attach(options, life.record));
    });
  }

  async resize(tenantId: TenantId, text: string, size: TerminalSize): Promise<void> {
    const life = this.containers.find(tenantId, text);
    const { status, request } = life.record;
    if (status !== 'running' && status !== 'created') throw new CodedError('conflict', `Container ${text} is not running`);
    if (request.process.tty) {
      await life.processes.resize(size).catch((error: unknown) => {
        throw isCodedError(error, 'unavailable') ? new CodedError('conflict', `Container ${text} is not running`, {}, { cause: error }) : error;
      });
    }
    life.publish('resize', { height: String(size.rows), width: String(size.columns) });
  }

  createExec(tenantId: TenantId, text: string, request: ExecSpec): Promise<{ readonly id: string }> {
    return attempt(() => ({ id: this.makeExec(tenantId, text, request).record.id }));
  }

  getExec(tenantId: TenantId, execId: string): Promise<Exec> {
    return attempt(() => {
      const { life, exec } = this.findExec(tenantId, execId);
      return exec.view(life.id);
    });
  }

  listExecs(tenantId: TenantId, text: string): Promise<Exec[]> {
    return attempt(() => {
      const life = this.containers.find(tenantId, text);
      return life.processes.execs.list().map((exec) => exec.view(life.id));
    });
  }

  async startExec(tenantId: TenantId, execId: string, size?: TerminalSize): Promise<void> {
    const { life, exec } = this.findExec(tenantId, execId);
    const execution = runOf(life, life.id);
    if (execution.start !== exec.record.start) throw new CodedError('conflict', `container ${life.id} is not running`);
    await exec.start(life.record, execution, size);
    const attributes = { execID: exec.record.id };
    life.publish(`exec_start: ${exec.record.request.argv.join(' ')}`, attributes);
    void exec.ended.then((end) => {
      if (end !== undefined) life.publish('exec_die', { ...attributes, exitCode: String(exec.view(life.id).exitCode ?? 0) });
    });
  }

  attachExec(tenantId: TenantId, execId: string, options: AttachOptions): Promise<ProcessStream> {
    return attempt(() => this.findExec(tenantId, execId).exec.attach(options));
  }

  async resizeExec(tenantId: TenantId, execId: string, size: TerminalSize): Promise<void> {
    await this.findExec(tenantId, execId).exec.resize(size);
  }

  async signalExec(tenantId: TenantId, execId: string, signal: string): Promise<void> {
    const { life, exec } = this.findExec(tenantId, execId);
    const number = parseSignal(signal);
    if (life.record.status === 'paused') throw new CodedError('conflict', `container ${life.id} is paused, unpause the container before exec`);
    await exec.signal(number);
  }

  async waitExec(tenantId: TenantId, execId: string, signal: AbortSignal): Promise<Exec> {
    const { life, exec } = this.findExec(tenantId, execId);
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => { aborted.reject(signal.reason as Error); };
    signal.addEventListener('abort', abort, { once: true });
    try {
      const end = await Promise.race([exec.ended, aborted.promise]);
      if (end === undefined) throw noSuchExec(execId);
      return exec.view(life.id);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  private makeExec(tenantId: TenantId, text: string, request: ExecSpec): ContainerExec {
    const life = this.containers.find(tenantId, text);
    if (request.id !== undefined && !ID.test(request.id)) throw new CodedError('invalid_argument', 'the id of an exec is 64 hexadecimal digits');
    const known = request.id === undefined ? undefined : this.lookUp(tenantId, request.id);
    if (known !== undefined) {
      if (known.life !== life) throw new CodedError('conflict', `the exec id ${known.exec.record.id} is taken by another container`);
      return known.exec;
    }
    checkExec(request);
    const exec = life.processes.execs.create(request, runOf(life, text));
    life.publish(`exec_create: ${request.argv.join(' ')}`, { execID: exec.record.id });
    return exec;
  }

  private findExec(tenantId: TenantId, execId: string): FoundExec {
    const found = this.lookUp(tenantId, execId);
    if (found === undefined) throw noSuchExec(execId);
    return found;
  }

  private lookUp(tenantId: TenantId, execId: string): FoundExec | undefined {
    for (const life of this.containers.all(tenantId)) {
      const exec = life.processes.execs.get(execId);
      if (exec !== undefined) return { life, exec };
    }
    return undefined;
  }
}

/** What processes can be added to. @throws CodedError `conflict` */
function runOf(life: ContainerLife, text: string): ContainerExecution {
  const { status } = life.record;
  if (status === 'paused') throw new CodedError('conflict', `container ${text} is paused, unpause the container before exec`);
  const { execution } = life.processes;
  if (status !== 'running' || execution === undefined) throw new CodedError('conflict', `container ${text} is not running`);
  return execution;
}

function noSuchExec(execId: string): CodedError {
  return new CodedError('not_found', `No such exec instance: ${execId.slice(0, 100)}`);
}

function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}
