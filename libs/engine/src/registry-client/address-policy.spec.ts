import { AddressPolicy, isPublicAddress } from './drivers/address-policy.js';

describe('addresses that may be dialled for a tenant', () => {
  it.each(['1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.1', '100.63.255.255', '100.128.0.1', '192.169.0.1', '169.253.1.1', '223.255.255.254', '2606:4700::6810:1', '2a00:1450:4001:81b::200e', '64:ff9b::808:808'])(
    '%s is public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  it.each([
    '0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.127.255.254', '127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.168.0.1',
    '198.18.0.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:10.0.0.1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '::10.0.0.1', '::7f00:1', '64:ff9b::a00:1', '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::808:808', 'fc00::1', 'fd00:ec2::254', 'fe80::1', 'fe80::1%eth0', 'ff02::1', 'fec0::1', '2001:db8::1', '2001::1', '2002:7f00:1::', '100::1', 'localhost', '', '0x7f.1', '127.1',
  ])('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it('lets the operator trust a host, on one port or on all', () => {
    const policy = new AddressPolicy({ insecure: ['127.0.0.1:5000', 'Lab.example'], mirrors: [], privateHosts: ['[fd00::1]:443', 'inner'] });
    expect(policy.isInsecure(new URL('https://127.0.0.1:5000/v2/'))).toBe(true);
    expect(policy.isInsecure(new URL('https://127.0.0.1:5001/v2/'))).toBe(false);
    expect(policy.isInsecure(new URL('https://lab.example:8080/'))).toBe(true);
    expect(policy.allowsPrivate(new URL('https://[fd00::1]/'))).toBe(true);
    expect(policy.allowsPrivate(new URL('http://[fd00::1]/'))).toBe(false);
    expect(policy.allowsPrivate(new URL('https://inner:1/'))).toBe(true);
    expect(policy.isInsecure(new URL('https://inner:1/'))).toBe(false);
  });
});
