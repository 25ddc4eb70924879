import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { streamBody } from './rpc-bodies.js';

describe('a body of any length', () => {
  const sender = () => {
    const body = new PassThrough();
    return { body, request: body as unknown as IncomingMessage };
  };

  it('comes as it is sent, to a reader that takes his time too', async () => {
    const { body, request } = sender();
    let text = '';
    body.write('a');
    setTimeout(() => body.end('b'), 20);
    for await (const chunk of streamBody(request, 60)) {
      text += chunk.toString();
      await sleep(100);
    }
    expect(text).toBe('ab');
  });

  it('ends when nothing comes though it is waited for, the first time and later', async () => {
    for (const first of ['', 'a']) {
      const { body, request } = sender();
      if (first !== '') body.write(first);
      let text = '';
      const read = async (): Promise<void> => {
        for await (const chunk of streamBody(request, 60)) {
          text += chunk.toString();
          await sleep(100);
        }
      };
      await expect(read()).rejects.toMatchObject({ code: 'deadline_exceeded' });
      expect([text, body.destroyed]).toEqual([first, false]);
    }
  });

  it('fails with a sender that goes away, and is left alone by a reader that does', async () => {
    const { body, request } = sender();
    const next = streamBody(request, 1000).next();
    body.destroy(new Error('reset'));
    await expect(next).rejects.toMatchObject({ code: 'cancelled' });
    const other = sender();
    other.body.write('a');
    for await (const chunk of streamBody(other.request, 1000)) {
      expect(chunk.toString()).toBe('a');
      break;
    }
    expect(other.body.destroyed).toBe(false);
  });
});
