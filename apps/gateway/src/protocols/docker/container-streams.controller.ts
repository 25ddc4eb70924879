import { Controller, Get, Inject, Param, Post } from '@nestjs/common';
import type { ContainerStatsView } from '#contracts';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import { Lifecycle } from '../../platform/lifecycle.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { badParameter } from './errors.js';
import { toDockerStats } from './container-stats.js';
import { stdcopyFrame } from './stdcopy.js';
import { unixNanos } from './times.js';

const CONDITIONS = ['not-running', 'next-exit', 'removed'] as const;
type Condition = (typeof CONDITIONS)[number];
const NEWLINE = 0x0a;
/** Since this version a client is told by the type whether the streams are framed. */
const TYPED_STREAMS = 42;

/** Answers that last: waiting for an end, output, and figures. */
@ApiExcludeController()
@Controller('docker/containers')
export class DockerContainerStreamsController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** The headers say that the node waits: the CLI starts the container only then. */
  @Post(':id/wait')
  @RequirePermission('host:write')
  async wait(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const condition = conditionOf(call.query.text('condition'));
    const over = AbortSignal.any([call.signal, this.lifecycle.draining]);
    const { ended } = await this.backends.hosts.of(call.caller.tenant).waitContainer(id, condition, over);
    const answer = call.answer('application/json');
    try {
      const { exitCode, error } = await ended;
      await answer.write(`${JSON.stringify({ StatusCode: exitCode, ...(error === undefined ? {} : { Error: { Message: error } }) })}\n`);
      answer.end();
    } catch {
      // How it ended is not known: an answer that breaks off says so, any status would be a lie.
      answer.cut();
    }
  }

  @Get(':id/logs')
  @RequirePermission('host:read')
  async logs(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const { query } = call;
    const [stdout, stderr] = [query.flag('stdout'), query.flag('stderr')];
    if (!stdout && !stderr) throw badParameter('Bad parameters: you must choose at least one stream');
    const since = momentOf(query.optional('since'));
    const until = momentOf(query.optional('until'));
    const tail = tailOf(query.text('tail'));
    const host = this.backends.hosts.of(call.caller.tenant);
    const { id: full, request } = await host.container(id);
    const framed = !request.process.tty;
    const options = { stdout, stderr, follow: query.flag('follow'), ...(tail === undefined ? {} : { tail }), ...(since === undefined ? {} : { sinceMs: since }), ...(until === undefined ? {} : { untilMs: until }) };
    const stamp = query.flag('timestamps') ? new LineStamps() : undefined;
    const answer = call.answer(framed && call.version >= TYPED_STREAMS ? 'application/vnd.docker.multiplexed-stream' : 'application/vnd.docker.raw-stream');
    try {
      for await (const chunk of host.logs(full, options, AbortSignal.any([call.signal, this.lifecycle.draining]))) {
        const bytes = stamp === undefined ? chunk.bytes : stamp.mark(chunk);
        if (!(await answer.write(framed ? stdcopyFrame(chunk.stream, bytes) : bytes))) return;
      }
      // An end that is ours must not pass for the program's.
      if (this.lifecycle.draining.aborted) answer.cut();
      else answer.end();
    } catch {
      answer.cut();
    }
  }

  /** One figure alone has nothing to be compared with, so without `one-shot` the second is the first that is told. */
  @Get(':id/stats')
  @RequirePermission('host:read')
  async stats(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const [stream, once] = [call.query.flag('stream', true), call.query.flag('one-shot')];
    const host = this.backends.hosts.of(call.caller.tenant);
    const { id: full } = await host.container(id);
    const answer = call.answer('application/json');
    let before: ContainerStatsView | undefined;
    try {
      for await (const stats of host.containerStats(full, { once: !stream && once }, AbortSignal.any([call.signal, this.lifecycle.draining]))) {
        const isFirst = before === undefined && !stream && !once && stats.readAt !== 0;
        if (!isFirst && !(await answer.write(`${JSON.stringify(toDockerStats(stats, before))}\n`))) return;
        if (!stream && !isFirst) break;
        before = stats;
      }
      answer.end();
    } catch {
      answer.cut();
    }
  }
}

/** Writes the time at the beginning of each line; pieces of a line are joined. */
class LineStamps {
  private readonly inLine = { stdout: false, stderr: false };

  mark({ stream, timeMs, bytes }: { readonly stream: 'stdout' | 'stderr'; readonly timeMs: number; readonly bytes: Buffer }): Buffer {
    const stamp = Buffer.from(`${new Date(timeMs).toISOString().slice(0, -1)}000000Z `);
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline < 0 ? bytes.length : newline + 1;
      if (!this.inLine[stream]) parts.push(stamp);
      parts.push(bytes.subarray(at, end));
      this.inLine[stream] = newline < 0;
      at = end;
    }
    return Buffer.concat(parts);
  }
}

function conditionOf(text: string): Condition {
  const condition = CONDITIONS.find((one) => one === (text === '' ? 'not-running' : text));
  if (condition === undefined) throw badParameter(`invalid condition: "${text.slice(0, 100)}"`);
  return condition;
}

function momentOf(text: string | undefined): number | undefined {
  // 0 means no bound, in both directions.
  if (text === undefined || text === '0') return undefined;
  return Number(unixNanos(text) / 1_000_000n);
}

/** Anything that is no number means all, as with Docker. */
function tailOf(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
