import { buildParcelSchema, type BuildParcelBody } from '#contracts';
import { readTar } from '#engine';
import { newId } from '#kernel';
import { BuildContext, withToken } from './build-context.js';

describe('the context of a queued build', () => {
  const asked: unknown[] = [];
  const commits: string[] = [];
  const context = new BuildContext(
    {
      spool: { context: () => { throw new Error('no tar was sent'); } },
      git: { fetch: (request) => { asked.push(request); return Promise.resolve({ commit: 'c'.repeat(40), tar: bytes('a tar') }); } },
      fetched: (commit) => { commits.push(commit); },
    },
    { tenantId: newId('tenant'), id: newId('build') },
  );
  const parcel = (source: BuildParcelBody['source'], secrets: BuildParcelBody['secrets'] = {}) => buildParcelSchema.parse({ request: {}, registries: {}, secrets, source });
  const never = new AbortController().signal;

  async function* bytes(text: string): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from(text));
  }

  it('makes a tar of files that stand in the request', async () => {
    const files = { Dockerfile: 'FROM x', 'bin/run': { content: Buffer.from([0, 255]).toString('base64'), encoding: 'base64' as const, executable: true } };
    const entries: unknown[] = [];
    for await (const { path, mode, content } of readTar(context.of(parcel({ kind: 'files', files }), never))) {
      const chunks: Buffer[] = [];
      for await (const chunk of content) chunks.push(Buffer.from(chunk));
      entries.push([path, mode, Buffer.concat(chunks).toString('hex')]);
    }
    expect(entries).toEqual([['Dockerfile', 0o644, Buffer.from('FROM x').toString('hex')], ['bin/run', 0o755, '00ff']]);
  });

  it('fetches a repository when it is read, with the token of its secrets, and says which commit it is', async () => {
    const source = { kind: 'git', url: 'https://example.com/app.git', ref: 'main', subdir: 'docker' } as const;
    const tar = context.of(parcel(source, { GIT_AUTH_TOKEN: 'a/token\n' }), never);
    expect(asked).toEqual([]);
    let text = '';
    for await (const chunk of tar) text += Buffer.from(chunk).toString();
    expect(text).toBe('a tar');
    expect(asked).toEqual([{ url: 'https://x-access-token:a%2Ftoken@example.com/app.git', ref: 'main', subdir: 'docker' }]);
    expect(commits).toEqual(['c'.repeat(40)]);
  });

  it('sends no token in the clear', () => {
    expect(() => withToken('http://example.com/app.git', 'token')).toThrow('https addresses only');
    expect(() => withToken('git@example.com:app.git', 'token')).toThrow('https addresses only');
  });
});
