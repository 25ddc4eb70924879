import { silentLogger } from '#kernel';
import { formatIpv4, parseIpv4 } from '../ipv4.js';
import type { EgressPolicy } from '../networks.js';
import { addressAnswer, emptyAnswer, parseAnswer, parseQuestion, RCODE, TYPE, type Question } from './message.js';
import { NameResolver } from './name-resolver.js';
import { matchesDomain, type NameScope } from './name-scope.js';

const KNOWN = [
  { address: parseIpv4('172.18.0.2')!, containerName: 'db', networkName: 'back', names: ['db', 'Store', '0123456789ab'] },
  { address: parseIpv4('172.18.0.3')!, containerName: 'db2', networkName: 'back', names: ['db2', 'Store'] },
];

function ask(name: string, type: number): { message: Buffer; question: Question } {
  const head = Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split('.').flatMap((label) => [Buffer.of(label.length), Buffer.from(label)]);
  const message = Buffer.concat([head, ...labels, Buffer.of(0, 0, type, 0, 1)]);
  const parsed = parseQuestion(message);
  if (parsed === undefined || !('question' in parsed)) throw new Error('no question');
  return { message, question: parsed.question };
}

describe('NameResolver', () => {
  const asked: string[] = [];
  const pinned: string[] = [];
  const upstream: Record<string, string[]> = { 'example.org': ['203.0.113.9', '10.0.0.1', '169.254.169.254', '198.51.100.7'], 'inside.example.org': ['192.168.1.1'] };
  const resolver = new NameResolver({
    upstream: {
      ask: (_message, question) => {
        asked.push(question.name ?? '?');
        const addresses = upstream[question.name ?? ''];
        if (question.name === 'broken.example.org') return Promise.reject(new Error('away'));
        return Promise.resolve(addresses === undefined ? emptyAnswer(question, RCODE.name) : addressAnswer(question, addresses.map((address) => ({ address: parseIpv4(address)!, ttlSeconds: 5 })), 512));
      },
    },
    isAllowed: () => false,
    logger: silentLogger,
  });
  beforeEach(() => {
    asked.length = pinned.length = 0;
  });

  async function resolve(name: string, type: number = TYPE.a, egress: EgressPolicy = { kind: 'all' }, known: NameScope['known'] = KNOWN): Promise<{ rcode: number; addresses: string[] }> {
    const { message, question } = ask(name, type);
    const pin = (addresses: readonly { address: number; seconds: number }[]): Promise<void> => {
      pinned.push(...addresses.map(({ address, seconds }) => `${formatIpv4(address)} ${seconds}`));
      return Promise.resolve();
    };
    const answer = parseAnswer((await resolver.answer({ message, transport: 'udp', scope: { egress, known }, pin }))!, 7, question)!;
    return { rcode: answer.rcode, addresses: answer.addresses.map(({ address }) => formatIpv4(address)).sort() };
  }

  it('knows members by name, alias, short ID and with their network, and asks nobody about them', async () => {
    for (const name of ['db', 'DB', 'db.back', '0123456789ab']) expect(await resolve(name)).toEqual({ rcode: 0, addresses: ['172.18.0.2'] });
    expect(await resolve('store')).toEqual({ rcode: 0, addresses: ['172.18.0.2', '172.18.0.3'] });
    for (const type of [TYPE.aaaa, 15]) expect(await resolve('db', type)).toEqual({ rcode: 0, addresses: [] });
    expect(asked).toEqual([]);
  });

  it('names the owner of an address, and never asks others about private ones', async () => {
    const { message, question } = ask('2.0.18.172.in-addr.arpa', TYPE.ptr);
    const answer = await resolver.answer({ message, transport: 'udp', scope: { egress: { kind: 'all' }, known: KNOWN }, pin: () => Promise.resolve() });
    expect(answer?.toString('latin1')).toContain('\x02db\x04back\0');
    expect(parseAnswer(answer!, 7, question)?.rcode).toBe(0);
    expect(await resolve('1.0.0.10.in-addr.arpa', TYPE.ptr)).toEqual({ rcode: RCODE.name, addresses: [] });
    expect(asked).toEqual([]);
    await resolve('9.113.0.203.in-addr.arpa', TYPE.ptr);
    expect(asked).toHaveLength(1);
  });

  it('hands everything else on, as it came back', async () => {
    expect(await resolve('example.org')).toEqual({ rcode: 0, addresses: ['10.0.0.1', '169.254.169.254', '198.51.100.7', '203.0.113.9'] });
    expect(await resolve('nobody.example.org')).toEqual({ rcode: RCODE.name, addresses: [] });
    expect(await resolve('broken.example.org')).toEqual({ rcode: RCODE.server, addresses: [] });
    expect(pinned).toEqual([]);
  });

  it('lets one without a way out ask for members only', async () => {
    expect(await resolve('db', TYPE.a, { kind: 'none' })).toEqual({ rcode: 0, addresses: ['172.18.0.2'] });
    for (const type of [TYPE.a, 16]) expect(await resolve('example.org', type, { kind: 'none' })).toEqual({ rcode: RCODE.refused, addresses: [] });
    expect(asked).toEqual([]);
  });

  it('lets one with a list ask for what is on it, opens what it hears and filters private addresses out', async () => {
    const egress: EgressPolicy = { kind: 'allow', cidrs: [], domains: ['example.org', '*.example.org'] };
    expect(await resolve('example.org', TYPE.a, egress)).toEqual({ rcode: 0, addresses: ['198.51.100.7', '203.0.113.9'] });
    expect(pinned).toEqual(['203.0.113.9 30', '198.51.100.7 30']);
    expect(await resolve('inside.example.org', TYPE.a, egress)).toEqual({ rcode: 0, addresses: [] });
    expect(await resolve('example.org', TYPE.aaaa, egress)).toEqual({ rcode: 0, addresses: [] });
    expect(await resolve('example.net', TYPE.a, egress)).toEqual({ rcode: RCODE.refused, addresses: [] });
    expect(asked).toEqual(['example.org', 'inside.example.org']);
  });

  it.each([
    ['example.org', true],
    ['a.example.org', false],
    ['a.sub.test', true],
    ['sub.test', false],
    ['asub.test', false],
    ['.sub.test', false],
  ])('finds %s in a list of domains: %s', (name, expected) => {
    expect(matchesDomain(name, ['Example.org.', '*.sub.test'])).toBe(expected);
  });
});
