import fc from 'fast-check';
import { readEvent, deliveryKeyOf } from './push-event.js';

const SHA = '0123456789abcdef0123456789abcdef01234567';
const OTHER = 'fedcba9876543210fedcba9876543210fedcba98';
const MAIN = { branch: 'main' };
const push = (more: object = {}): Buffer => Buffer.from(JSON.stringify({ ref: 'refs/heads/main', before: OTHER, after: SHA, repository: { clone_url: 'https://evil.example/x.git' }, ...more }));
const GITHUB = { 'x-github-event': 'push' };

describe('what a webhook tells', () => {
  it('is a push to build, of the commit that was pushed, from GitHub, GitLab, Gitea and Forgejo', () => {
    for (const headers of [GITHUB, { 'x-gitlab-event': 'Push Hook' }, { 'x-gitea-event': 'push', 'x-github-event': 'push' }, { 'x-forgejo-event': 'push', 'x-gitea-event': 'push' }]) {
      expect(readEvent(headers, push(), MAIN)).toMatchObject({ ref: 'refs/heads/main', commit: SHA, decision: { push: { ref: { type: 'branch', name: 'main' }, commit: SHA } } });
    }
    expect(JSON.stringify(readEvent(GITHUB, push(), MAIN))).not.toContain('evil');
  });

  it('may be a form with the JSON in it, as GitHub can be told', () => {
    expect(readEvent(GITHUB, Buffer.from(`payload=${encodeURIComponent(push().toString())}`), MAIN)).toMatchObject({ commit: SHA });
  });

  it('is the commit of a tag, not the tag’s own object', () => {
    const tags = { tag: 'v*' };
    const ref = 'refs/tags/v1';
    expect(readEvent(GITHUB, push({ ref, after: OTHER, head_commit: { id: SHA } }), tags)).toMatchObject({ commit: SHA, decision: { push: { ref: { type: 'tag', name: 'v1' } } } });
    expect(readEvent({ 'x-gitlab-event': 'Tag Push Hook' }, push({ ref, after: OTHER, checkout_sha: SHA }), tags)).toMatchObject({ commit: SHA });
    expect(readEvent(GITHUB, push({ ref, head_commit: null }), tags)).toMatchObject({ commit: SHA });
  });

  it.each([
    ['a ping', { 'x-github-event': 'ping' }, push(), 'a ping: the webhook works'],
    ['another event', { 'x-github-event': 'issues' }, push(), 'no push'],
    ['no event', {}, push(), 'no push'],
    ['another branch', GITHUB, push({ ref: 'refs/heads/side' }), 'the source builds the branch main'],
    ['a tag', GITHUB, push({ ref: 'refs/tags/main' }), 'the source builds the branch main'],
    ['a deleted branch', GITHUB, push({ after: '0'.repeat(40), deleted: true }), 'the branch was deleted'],
    ['a deleted tag', GITHUB, push({ ref: 'refs/tags/v1', after: '0'.repeat(40), head_commit: null }), 'the tag was deleted'],
    ['a pull request', GITHUB, push({ ref: 'refs/pull/1/head' }), 'neither a branch nor a tag'],
  ])('is not built when it is %s', (_name, headers, body, ignored) => {
    expect(readEvent(headers, body, MAIN).decision).toEqual({ ignored });
  });

  it.each([
    ['not JSON', '{'],
    ['empty', ''],
    ['an array', '[]'],
    ['null', 'null'],
    ['no commit', JSON.stringify({ ref: 'refs/heads/main' })],
    ['a commit of another length', JSON.stringify({ ref: 'refs/heads/main', after: SHA.slice(1) })],
    ['an option in the place of a commit', JSON.stringify({ ref: 'refs/heads/main', after: '--upload-pack=x' })],
    ['a ref with NUL', JSON.stringify({ ref: 'refs/heads/main\0', after: SHA })],
    ['a ref without end', JSON.stringify({ ref: `refs/heads/${'a'.repeat(600)}`, after: SHA })],
    ['prototypes', `{"__proto__":{"ref":"refs/heads/main","after":"${SHA}"}}`],
    ['deep', '['.repeat(100_000)],
    ['a form without it', 'payload='],
  ])('is refused when its body is %s', (_name, body) => {
    expect(() => readEvent(GITHUB, Buffer.from(body), MAIN)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('never ends otherwise, whatever is sent', () => {
    fc.assert(fc.property(fc.oneof(fc.uint8Array(), fc.json().map((text) => Buffer.from(text)), fc.record({ ref: fc.string(), after: fc.string() }).map((value) => Buffer.from(JSON.stringify(value)))), (bytes) => {
      try {
        readEvent(GITHUB, Buffer.from(bytes), { branch: '*' });
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_argument' });
      }
    }));
  });

  it('has a name that stays the same when it is sent again', () => {
    expect(deliveryKeyOf({ 'x-github-delivery': 'a' })).toBe('a');
    expect(deliveryKeyOf({ 'idempotency-key': 'b', 'x-gitlab-event-uuid': 'c' })).toBe('b');
    expect(deliveryKeyOf({ 'webhook-id': 'd', 'idempotency-key': 'e' })).toBe('d');
    for (const key of ['', 'ä', 'x'.repeat(201)]) expect(deliveryKeyOf({ 'x-github-delivery': key })).toBeUndefined();
  });
});
