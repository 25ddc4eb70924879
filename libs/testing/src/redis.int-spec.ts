import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startTestRedis } from './redis.js';

describe('startTestRedis', () => {
  it('keeps what was acknowledged when it is killed, if asked to', async () => {
    const server = await startTestRedis({ appendOnly: true });
    const redis = new Redis(server.options);
    redis.on('error', () => undefined);
    await redis.set('a', '1');
    await server.kill();
    await server.restart();
    expect(await redis.get('a')).toBe('1');
    redis.disconnect();
    await server.stop();
    expect(existsSync(dirname(server.options.path))).toBe(false);
  });

  it('leaves nothing behind when the process that started it is killed', async () => {
    const source = `const { startTestRedis } = await import(${JSON.stringify(join(import.meta.dirname, 'redis.ts'))});
      console.log((await startTestRedis()).options.path); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [data] = (await once(child.stdout, 'data')) as [Buffer];
    const path = data.toString().trim();
    expect(existsSync(path)).toBe(true);
    child.kill('SIGKILL');
    for (let tries = 0; tries < 300 && existsSync(dirname(path)); tries += 1) await sleep(10);
    expect(existsSync(dirname(path))).toBe(false);
    const [error] = (await once(connect(path), 'error')) as [Error & { code: string }];
    expect(error.code).toBe('ENOENT');
  });
});
