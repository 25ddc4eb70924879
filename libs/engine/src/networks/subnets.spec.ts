import { formatIpv4, formatSubnet, overlap, parseIpv4, parseSubnet, type Subnet } from './ipv4.js';
import { planAddresses } from './subnets.js';

describe('planAddresses', () => {
  it('goes through Docker’s pools and ends with words', () => {
    const taken: Subnet[] = [parseSubnet('172.17.0.0/16')!];
    const given: string[] = [];
    for (let count = 0; count < 30; count += 1) {
      const { subnet, gateway } = planAddresses({}, taken);
      expect(taken.some((other) => overlap(other, subnet))).toBe(false);
      expect(gateway).toBe(subnet.base + 1);
      taken.push(subnet);
      given.push(formatSubnet(subnet));
    }
    expect([given[0], given[13], given[14], given[15], given[29]]).toEqual(['172.18.0.0/16', '172.31.0.0/16', '192.168.0.0/20', '192.168.16.0/20', '192.168.240.0/20']);
    expect(() => planAddresses({}, taken)).toThrow(expect.objectContaining({ code: 'resource_exhausted', message: 'all predefined address pools have been fully subnetted' }));
  });

  it('takes a gateway and a range within the subnet', () => {
    const plan = planAddresses({ subnet: '10.5.0.0/16', ipRange: '10.5.9.0/24', gateway: '10.5.9.254' }, []);
    expect([formatSubnet(plan.range), formatIpv4(plan.gateway)]).toEqual(['10.5.9.0/24', '10.5.9.254']);
  });

  it.each([
    [{ subnet: '172.17.5.0/24' }, 'conflict', /Pool overlaps with other one on this address space/],
    [{ subnet: '10.0.0.1/8' }, 'invalid_argument', /it should be 10\.0\.0\.0\/8/],
    [{ subnet: '10.0.0.0/31' }, 'invalid_argument', /no network can have/],
    [{ subnet: '127.0.0.0/8' }, 'invalid_argument', /no network can have/],
    [{ subnet: '169.254.0.0/16' }, 'invalid_argument', /no network can have/],
    [{ subnet: '0.0.0.0/0' }, 'invalid_argument', /no network can have/],
    [{ subnet: 'fd00::/64' }, 'invalid_argument', /IPv4/],
    [{ subnet: '10.0.0.0/08' }, 'invalid_argument', /IPv4/],
    [{ subnet: '010.0.0.0/8' }, 'invalid_argument', /IPv4/],
    [{ gateway: '10.0.0.1' }, 'invalid_argument', /corresponding subnet/],
    [{ subnet: '10.0.0.0/24', gateway: '10.0.1.1' }, 'invalid_argument', /invalid gateway/],
    [{ subnet: '10.0.0.0/24', gateway: '10.0.0.255' }, 'invalid_argument', /invalid gateway/],
    [{ subnet: '10.0.0.0/24', ipRange: '10.0.1.0/24' }, 'invalid_argument', /invalid ip-range/],
  ])('refuses %j', (wanted, code, message) => {
    expect(() => planAddresses(wanted, [parseSubnet('172.17.0.0/16')!])).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) as string }));
  });
});

describe('IPv4', () => {
  it.each(['1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.4 ', '+1.2.3.4', '0x1.2.3.4', ''])('does not take %j for an address', (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });
});
