import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#kernel';
import type { AgentEvent } from '../../runtime/index.js';
import type { ChannelReader, ReaderOptions } from './channel-reader.js';
import { ContainerLog } from './container-log.js';
import { ProcessChannel } from './process-channel.js';

const LIVE: ReaderOptions = { start: 1, kept: false, after: 0, follow: true, output: true };
const output = (seq: number, data: Buffer | string): AgentEvent => ({ seq, timeUs: seq, type: 'output', processId: 1, stream: 'stdout', data: Buffer.from(data) });
const exit = (seq: number): AgentEvent => ({ seq, timeUs: seq, type: 'exit', processId: 1, exit: { exitCode: 0, signal: null, userTimeUs: 0, systemTimeUs: 0, maxRssBytes: 0 } });

async function textOf(reader: ChannelReader): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const { payload } of reader.pieces()) pieces.push(payload);
  return Buffer.concat(pieces).toString();
}

describe('the channel of a process', () => {
  let folder: string;
  let log: ContainerLog;
  let channel: ProcessChannel;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'channel-'));
    log = await ContainerLog.open(join(folder, 'log'));
    channel = new ProcessChannel(log, { logger: silentLogger, keepsOutput: true });
  });
  afterEach(async () => {
    await channel.close();
    await log.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('hands out what comes, to all, and the end', async () => {
    const readers = [channel.read(LIVE), channel.read(LIVE), channel.read({ ...LIVE, output: false })];
    const texts = readers.slice(0, 2).map(textOf);
    channel.take(output(1, 'a'), 1);
    await new Promise(setImmediate);
    channel.take(output(2, 'b'), 1);
    channel.take(exit(3), 1);
    expect(await Promise.all(texts)).toEqual(['ab', 'ab']);
    for (const reader of readers) expect(await reader.ended).toMatchObject({ type: 'exited', value: 0 });
  });
});
