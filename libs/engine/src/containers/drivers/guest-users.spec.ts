import { CodedError, type ErrorCode } from '#kernel';
import type { GuestAgent, ProcessSpec } from '../../runtime/index.js';
import type { GuestUser } from './guest-accounts.js';
import { GuestUsers } from './guest-users.js';

const APP = { user: 'app', groups: ['audio'] };
const APP_USER: GuestUser = { uid: 1000, gid: 1000, supplementaryGids: [1000, 29], home: '/home/app' };

describe('users of a container', () => {
  let files: Record<string, string>;
  /** What the agent answers to starts that expect something. */
  let refusals: ErrorCode[];
  let asked: string[];
  let users: GuestUsers;

  beforeEach(() => {
    files = { '/etc/passwd': 'app:x:1000:1000::/home/app:/bin/sh\n', '/etc/group': 'audio:x:29:\n' };
    refusals = [];
    asked = [];
    const agent = {
      readFile: (path: string) => {
        asked.push(`read ${path}`);
        const text = files[path];
        return text === undefined ? Promise.reject(new CodedError('not_found', 'no such file')) : Promise.resolve(Buffer.from(text));
      },
      start: ({ uid, expects }: ProcessSpec) => {
        asked.push(`start ${uid}${expects === undefined ? '' : ` if ${expects.map(({ content }) => Buffer.from(content).toString()).join('|')}`}`);
        const refusal = expects === undefined ? undefined : refusals.shift();
        return refusal === undefined ? Promise.resolve() : Promise.reject(new CodedError(refusal, 'refused'));
      },
    } as unknown as GuestAgent;
    users = new GuestUsers({ talk: (work) => work(agent) });
  });

  async function start(wanted = APP): Promise<(GuestUser | 'asking')[]> {
    asked = [];
    const seen: (GuestUser | 'asking')[] = [];
    await users.start(wanted, {
      asking: () => seen.push('asking'),
      plan: (user) => {
        seen.push(user);
        return Promise.resolve({ ...user, id: 2, argv: ['true'], env: [], cwd: '/', stdio: { kind: 'pipes', stdin: false } });
      },
    });
    return seen;
  }
  const READ = ['read /etc/passwd', 'read /etc/group'];
  const guess = (uid: number): string => `start ${uid} if ${files['/etc/passwd'] ?? ''}|${files['/etc/group'] ?? ''}`;

  it('are asked for once, and from then on guessed on a condition', async () => {
    expect(await start()).toEqual(['asking', APP_USER]);
    expect(asked).toEqual([...READ, 'start 1000']);
    expect(await start()).toEqual([APP_USER]);
    expect(asked).toEqual([guess(1000)]);
    expect(await start({ user: '7', groups: [] })).toMatchObject([{ uid: 7, gid: 0 }]);
    expect(asked).toEqual([guess(7)]);
  });

  it.each(['failed_precondition', 'invalid_argument'] as const)('are asked for again when the guess is refused as %s', async (code) => {
    await start();
    const before = guess(1000);
    files['/etc/passwd'] = 'app:x:2000:1000::/home/app:/bin/sh\n';
    refusals = [code];
    expect(await start()).toEqual([APP_USER, 'asking', { ...APP_USER, uid: 2000 }]);
    expect(asked).toEqual([before, ...READ, 'start 2000']);
    await start();
    expect(asked).toEqual([guess(2000)]);
  });

  it('are asked for when they were not there', async () => {
    await start();
    await expect(start({ user: 'late', groups: [] })).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringMatching('unable to find user late') });
    expect(asked).toEqual(READ);
    files['/etc/passwd'] = `${files['/etc/passwd']}late:x:5:5::/:\n`;
    expect(await start({ user: 'late', groups: [] })).toMatchObject(['asking', { uid: 5 }]);
  });

  it('of files that are not there are guessed too, and of large files not', async () => {
    files = {};
    await start({ user: '', groups: [] });
    expect(await start({ user: '', groups: [] })).toMatchObject([{ uid: 0, gid: 0, home: '/' }]);
    expect(asked).toEqual(['start 0 if |']);
    files = { '/etc/passwd': '#'.repeat(70_000) };
    refusals = ['failed_precondition'];
    await start({ user: '', groups: [] });
    await start({ user: '', groups: [] });
    expect(asked).toEqual([...READ, 'start 0']);
  });

  it('leave every other failure of a start as it is', async () => {
    await start();
    refusals = ['not_found'];
    await expect(start()).rejects.toMatchObject({ code: 'not_found' });
    expect(asked).toEqual([guess(1000)]);
  });
});
