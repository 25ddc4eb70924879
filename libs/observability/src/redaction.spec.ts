import { redactSecrets } from './redaction.js';

/** Each alone: no other's sign may stand in for its own. */
describe('secrets in a text', () => {
  it.each([
    ['key sbk_aB3-x_9 given', 'key sbk_[redacted] given'],
    ['ticket tkt_aB3-x_9 given', 'ticket tkt_[redacted] given'],
    ['authorization: Bearer abcdefgh.ij', 'authorization: Bearer [redacted]'],
    ['authorization: BASIC dXNlcjpwdw==', 'authorization: BASIC [redacted]'],
    ['GET /v1/x?a=1&ticket=secret&b=2', 'GET /v1/x?a=1&ticket=[redacted]&b=2'],
    ['connect postgres://me:pw@host/db failed', 'connect postgres://me:[redacted]@host/db failed'],
  ])('%s', (text, clean) => {
    expect(redactSecrets(text)).toBe(clean);
  });

  it('leaves what only looks like one', () => {
    for (const text of ['', 'a basic idea', 'the bearer of news', 'see https://host/path', 'risk_9 sbk']) expect(redactSecrets(text)).toBe(text);
  });
});
