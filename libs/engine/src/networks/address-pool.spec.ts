import fc from 'fast-check';
import { AddressPool } from './address-pool.js';
import { holds, lastOf, parseIpv4, parseSubnet, type Subnet } from './ipv4.js';

function subnet(text: string): Subnet {
  return parseSubnet(text)!;
}

describe('AddressPool', () => {
  it('gives the lowest first, after the gateway, and the same again once it is free', () => {
    const all = subnet('172.17.0.0/16');
    const pool = new AddressPool(all, all, all.base + 1);
    expect([pool.take(), pool.take(), pool.take()]).toEqual([2, 3, 4].map((host) => all.base + host));
    pool.release(all.base + 3);
    expect([pool.take(), pool.take()]).toEqual([3, 5].map((host) => all.base + host));
  });

  it('gives from its range only, but any address of the subnet on request', () => {
    const all = subnet('10.1.0.0/16');
    const pool = new AddressPool(all, subnet('10.1.5.0/30'), all.base + 1);
    expect([pool.take(), pool.take(), pool.take(), pool.take()]).toEqual([0, 1, 2, 3].map((host) => parseIpv4('10.1.5.0')! + host));
    expect(() => pool.take()).toThrow(expect.objectContaining({ code: 'resource_exhausted' }));
    pool.claim(parseIpv4('10.1.9.9')!);
    expect(() => {
      pool.claim(parseIpv4('10.1.9.9')!);
    }).toThrow(expect.objectContaining({ code: 'conflict', message: 'Address already in use' }));
    expect(() => {
      pool.claim(parseIpv4('10.2.0.1')!);
    }).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('never gives an address to two, nor the gateway’s, the network’s or the broadcast', () => {
    fc.assert(
      fc.property(fc.integer({ min: 24, max: 30 }), fc.array(fc.tuple(fc.constantFrom('take', 'claim', 'release'), fc.nat(300)), { maxLength: 200 }), (prefix, steps) => {
        const all = subnet(`10.0.0.0/${prefix}`);
        const pool = new AddressPool(all, all, all.base + 1);
        const held = new Set<number>([all.base, all.base + 1, lastOf(all)]);
        const own: number[] = [];
        for (const [step, number] of steps) {
          if (step === 'release') {
            const [address] = own.splice(number % Math.max(1, own.length), 1);
            if (address === undefined) continue;
            pool.release(address);
            held.delete(address);
            continue;
          }
          const free = held.size < lastOf(all) - all.base + 1;
          const wanted = all.base + number;
          if (step === 'take' ? !free : held.has(wanted) || !holds(all, wanted)) {
            expect(() => {
              if (step === 'take') pool.take();
              else pool.claim(wanted);
            }).toThrow();
            continue;
          }
          if (step === 'claim') pool.claim(wanted);
          const address = step === 'take' ? pool.take() : wanted;
          expect(held.has(address)).toBe(false);
          if (step === 'take') for (let lower = all.base; lower < address; lower += 1) expect(held.has(lower)).toBe(true);
          held.add(address);
          own.push(address);
        }
      }),
    );
  });
});
