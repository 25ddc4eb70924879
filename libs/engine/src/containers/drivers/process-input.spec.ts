import { CodedError } from '#kernel';
import type { GuestAgent } from '../../runtime/index.js';
import { ProcessInput, type AgentLine } from './process-input.js';

/** An agent's stdin of one process: idempotent by offset. Calls fail as often as the test says, before or after the bytes were taken. */
class Stdin {
  bytes = Buffer.alloc(0);
  closed = false;
  failures: ('before' | 'after')[] = [];

  private readonly agent = {
    writeStdin: async (_id: number, offset: number, data: Uint8Array) => {
      const failure = await Promise.resolve(this.failures.shift());
      if (failure === 'before') throw new CodedError('unavailable', 'lost');
      if (this.closed) throw new CodedError('failed_precondition', 'stdin is closed');
      if (offset > this.bytes.length) throw new CodedError('failed_precondition', 'bytes are missing');
      this.bytes = Buffer.concat([this.bytes, data.subarray(this.bytes.length - offset)]);
      if (failure === 'after') throw new CodedError('unavailable', 'lost');
      return this.bytes.length;
    },
    closeStdin: async () => {
      await Promise.resolve();
      this.closed = true;
    },
  } as Partial<GuestAgent> as GuestAgent;

  readonly line: AgentLine = {
    talk: async (work) => {
      for (;;) {
        try {
          return await work(this.agent);
        } catch (error) {
          if ((error as CodedError).message !== 'lost') throw error;
        }
      }
    },
  };
}

describe('the input of a process', () => {
  it('writes each byte once, whatever happens to the connection', async () => {
    const stdin = new Stdin();
    stdin.failures = ['after', 'before', 'after'];
    const input = new ProcessInput(stdin.line, 1, { fresh: true });
    await Promise.all(['one ', 'two ', 'three'].map((text) => input.write(Buffer.from(text))));
    expect(stdin.bytes.toString()).toBe('one two three');
  });

  it('goes on where another life of the worker has stopped', async () => {
    const stdin = new Stdin();
    stdin.bytes = Buffer.from('before ');
    const input = new ProcessInput(stdin.line, 1, { fresh: false });
    await input.write(Buffer.from('after'));
    expect(stdin.bytes.toString()).toBe('before after');
  });

  it('ends behind what was written, and drops what comes then', async () => {
    const stdin = new Stdin();
    const input = new ProcessInput(stdin.line, 1, { fresh: true });
    await Promise.all([input.write(Buffer.from('all')), input.end(), input.end(), input.write(Buffer.from('late'))]);
    expect([stdin.bytes.toString(), stdin.closed]).toEqual(['all', true]);
  });

  it('takes no part in what goes wrong otherwise', async () => {
    const line: AgentLine = { talk: () => Promise.reject(new CodedError('protocol_violation', 'nonsense')) };
    const input = new ProcessInput(line, 1, { fresh: true });
    await expect(input.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'protocol_violation' });
    const gone = new ProcessInput({ talk: () => Promise.reject(new CodedError('unavailable', 'it has ended')) }, 1, { fresh: true });
    await gone.write(Buffer.from('x'));
    await gone.end();
  });
});
