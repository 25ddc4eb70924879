import { parseNetDev } from './container-stats.js';

describe('the counters of /proc/net/dev', () => {
  it('are those of every interface but loopback', () => {
    const text = [
      'Inter-|   Receive                                                |  Transmit',
      ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
      '    lo:      10       1    0    0    0     0          0         0       10       1    0    0    0     0       0          0',
      '  eth0: 1234567      20    1    2    0     0          0         0      765       9    3    4    0     0       0          0',
      '',
    ].join('\n');
    expect(parseNetDev(text)).toEqual({ eth0: { rxBytes: 1_234_567, rxPackets: 20, rxErrors: 1, rxDropped: 2, txBytes: 765, txPackets: 9, txErrors: 3, txDropped: 4 } });
    expect(parseNetDev('')).toEqual({});
  });
});
