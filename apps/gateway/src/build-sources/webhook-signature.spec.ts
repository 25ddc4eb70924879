import { createHmac } from 'node:crypto';
import { newWebhookSecret, proofOf } from './webhook-signature.js';

const hmac = (key: string | Buffer, text: string, encoding: 'hex' | 'base64' = 'hex'): string => createHmac('sha256', key).update(text).digest(encoding);

describe('signatures of webhooks', () => {
  const check = (secret: string, headers: Record<string, string>, text = 'body', nowMs = 0): string | undefined => proofOf(secret, { headers, body: Buffer.from(text), nowMs });

  it('agree with the example that GitHub publishes', () => {
    const secret = "It's a Secret to Everybody";
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    expect(check(secret, { 'x-hub-signature-256': signature }, 'Hello, World!')).toBe('body');
    expect(check(secret, { 'x-hub-signature-256': signature }, 'Hello, World?')).toBeUndefined();
    expect(check('another', { 'x-hub-signature-256': signature }, 'Hello, World!')).toBeUndefined();
  });

  const STANDARD = { 'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp': '1614265330', 'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' };
  const STANDARD_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const STANDARD_BODY = '{"test": 2432232314}';
  const THEN = 1614265330_000;

  it('agree with the example of the Standard Webhooks libraries, which GitLab’s signing tokens follow', () => {
    expect(check(STANDARD_SECRET, STANDARD, STANDARD_BODY, THEN)).toBe('message');
    expect(check(STANDARD_SECRET, { ...STANDARD, 'webhook-signature': `v1,AAAA v2,x ${STANDARD['webhook-signature']}` }, STANDARD_BODY, THEN)).toBe('message');
    expect(check(STANDARD_SECRET, STANDARD, '{"test":2432232314}', THEN)).toBeUndefined();
  });

  it.each([
    ['another id', { 'webhook-id': 'msg_x' }, 0],
    ['no id', { 'webhook-id': '' }, 0],
    ['another time', { 'webhook-timestamp': '1614265331' }, 0],
    ['a time that is none', { 'webhook-timestamp': 'NaN' }, 0],
    ['another version', { 'webhook-signature': STANDARD['webhook-signature'].replace('v1', 'v1a') }, 0],
    ['a signature after many', { 'webhook-signature': `${'v1,AAAA '.repeat(10)}${STANDARD['webhook-signature']}` }, 0],
    ['a clock six minutes ahead', {}, 360_000],
    ['a clock six minutes behind', {}, -360_000],
  ])('of messages fail with %s', (_name, headers, offset) => {
    expect(check(STANDARD_SECRET, { ...STANDARD, ...headers }, STANDARD_BODY, THEN + offset)).toBeUndefined();
  });

  it('are taken as Gitea and Forgejo send them: bare hex', () => {
    for (const header of ['x-gitea-signature', 'x-forgejo-signature']) {
      expect(check('s', { [header]: hmac('s', 'body') })).toBe('body');
      expect(check('s', { [header]: `sha256=${hmac('s', 'body')}` })).toBeUndefined();
    }
  });

  it('may be the secret itself, as GitLab sends it, in full and in no other case', () => {
    expect(check('s3cret', { 'x-gitlab-token': 's3cret' })).toBe('token');
    for (const wrong of ['', 's3cre', 's3crett', 'S3CRET']) expect(check('s3cret', { 'x-gitlab-token': wrong })).toBeUndefined();
  });

  it.each(['', 'sha256=', 'sha1=0123', 'sha256=xyz', hmac('s', 'body'), `sha256=${hmac('s', 'body').toUpperCase()}`, `sha256=${hmac('s', 'body')}00`, `sha256=${hmac('s', 'body')}, sha256=${hmac('s', 'body')}`])('are refused in the form %j', (signature) => {
    expect(check('s', { 'x-hub-signature-256': signature })).toBeUndefined();
  });

  it('that are there and wrong are not made up for by one that is right', () => {
    const right = { 'x-gitlab-token': 's', 'x-gitea-signature': hmac('s', 'body') };
    expect(check('s', right)).toBe('body');
    expect(check('s', { ...right, 'x-hub-signature-256': `sha256=${hmac('t', 'body')}` })).toBeUndefined();
    expect(check('s', { ...right, 'webhook-signature': 'v1,AAAA' })).toBeUndefined();
    expect(check('s', { 'x-gitlab-token': 's', 'x-forgejo-signature': hmac('t', 'body'), 'x-gitea-signature': hmac('s', 'body') })).toBeUndefined();
  });

  it('need one of these headers', () => {
    expect(check('s', {})).toBeUndefined();
  });

  it('are made with secrets that every sender takes: GitLab wants base64 of 32 bytes behind whsec_', () => {
    const secret = newWebhookSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(newWebhookSecret()).not.toBe(secret);
    const key = Buffer.from(secret.slice(6), 'base64');
    expect(check(secret, { 'webhook-id': 'a', 'webhook-timestamp': '7', 'webhook-signature': `v1,${hmac(key, 'a.7.body', 'base64')}` }, 'body', 7_000)).toBe('message');
    expect(check(secret, { 'x-hub-signature-256': `sha256=${hmac(secret, 'body')}` })).toBe('body');
  });
});
