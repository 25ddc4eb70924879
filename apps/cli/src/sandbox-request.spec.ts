import { createSandboxSchema } from '#contracts';
import { sandboxRequest, type SandboxOptions } from './sandbox-request.js';

const request = (words: readonly string[], options: Partial<SandboxOptions> = {}) => createSandboxSchema.parse(sandboxRequest(words, { start: true, ...options }));

describe('the request of a sandbox', () => {
  it('is what the API takes', () => {
    expect(request(['nginx', 'nginx', '-g', 'daemon off;'], { name: 'web', env: ['A=b=c'], label: ['team=x', 'bare'], memory: 2 ** 28, cpus: 0.5, publish: ['8080:80'], volume: ['data:/data', '/srv:/srv:ro', '/own'], restart: 'on-failure:3', start: false })).toMatchObject({
      image: 'nginx',
      name: 'web',
      command: ['nginx', '-g', 'daemon off;'],
      env: { A: 'b=c' },
      labels: { team: 'x', bare: '' },
      limits: { memoryBytes: 2 ** 28, cpuMillis: 500 },
      network: { mode: 'bridge', ports: [{ port: 80, hostPort: 8080, hostAddress: '', protocol: 'tcp' }] },
      mounts: [{ kind: 'volume', volume: 'data', path: '/data', readOnly: false }, { kind: 'bind', source: '/srv', path: '/srv', readOnly: true }, { kind: 'volume', path: '/own' }],
      restart: { kind: 'on-failure', maxRetries: 3 },
      start: false,
    });
  });

  it('takes all words for the command when a runtime is named, and has no network unless asked', () => {
    expect(request(['python3', '-V'], { runtime: 'python' })).toMatchObject({ runtime: 'python', command: ['python3', '-V'], network: { mode: 'none', ports: [] } });
    expect(request([], { runtime: 'python' }).command).toBeUndefined();
  });

  it.each<[string, { port: number; hostPort: number; hostAddress: string; protocol: string }]>([
    ['80', { port: 80, hostPort: 0, hostAddress: '', protocol: 'tcp' }],
    ['53:53/udp', { port: 53, hostPort: 53, hostAddress: '', protocol: 'udp' }],
    ['127.0.0.1:8080:80', { port: 80, hostPort: 8080, hostAddress: '127.0.0.1', protocol: 'tcp' }],
    ['127.0.0.1::80', { port: 80, hostPort: 0, hostAddress: '127.0.0.1', protocol: 'tcp' }],
  ])('publishes %s', (text, port) => {
    expect(request(['x'], { publish: [text] }).network.ports).toEqual([port]);
  });

  it.each<[string, readonly string[], Partial<SandboxOptions>]>([
    ['nothing to make it of', [], {}],
    ['a port that is none', ['x'], { publish: ['http'] }],
    ['a range of ports', ['x'], { publish: ['80-90:80-90'] }],
    ['a volume without a place', ['x'], { volume: ['data:data'] }],
    ['a policy that is none', ['x'], { restart: 'sometimes' }],
    ['a count for another policy', ['x'], { restart: 'always:3' }],
  ])('refuses %s', (_name, words, options) => {
    expect(() => sandboxRequest(words, { start: true, ...options })).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});
