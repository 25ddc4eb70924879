import { forwardOf } from './commands/port-forward.js';

describe('ports to forward', () => {
  it.each<[string, { local: number; port: number }]>([['80', { local: 80, port: 80 }], ['8080:80', { local: 8080, port: 80 }], ['0:80', { local: 0, port: 80 }]])('%s', (text, forward) => {
    expect(forwardOf(text)).toEqual(forward);
  });

  it.each(['', 'http', '80:', '0', '70000', '8080:70000', '1:2:3'])('"%s" is refused', (text) => {
    expect(() => forwardOf(text)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});
