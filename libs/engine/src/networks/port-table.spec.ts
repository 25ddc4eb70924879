import { parseIpv4 } from './ipv4.js';
import { PortTable } from './port-table.js';

describe('PortTable', () => {
  const [loopback, other] = [parseIpv4('127.0.0.1'), parseIpv4('172.17.0.1')];

  it('keeps a port on every address from one on a single address, and the other way about', () => {
    const table = new PortTable();
    table.take('tcp', undefined, 80);
    expect(() => table.take('tcp', loopback, 80)).toThrow(expect.objectContaining({ code: 'conflict', message: 'Bind for 127.0.0.1:80 failed: port is already allocated' }));
    table.take('udp', loopback, 80);
    table.take('udp', other, 80);
    expect(() => table.take('udp', undefined, 80)).toThrow('Bind for 0.0.0.0:80 failed: port is already allocated');
    table.release('tcp', undefined, 80);
    table.take('tcp', loopback, 80);
  });

  it('chooses from 32768 up, each once, until none is left', () => {
    const table = new PortTable();
    table.take('tcp', undefined, 32_769);
    expect([0, 0, 0].map((port) => table.take('tcp', undefined, port))).toEqual([32_768, 32_770, 32_771]);
    for (let count = 4; count < 60_999 - 32_768 + 1; count += 1) table.take('tcp', undefined, 0);
    expect(() => table.take('tcp', undefined, 0)).toThrow(expect.objectContaining({ code: 'resource_exhausted' }));
    table.release('tcp', undefined, 40_000);
    expect(table.take('tcp', undefined, 0)).toBe(40_000);
  });
});
