import { runLimitsSchema, tenantLimitsSchema } from '#contracts';
import { fitToTenant } from './tenant-maxima.js';

const MiB = 1024 * 1024;

describe("a run's limits under its tenant's", () => {
  const tenant = tenantLimitsSchema.parse({ memoryBytes: 128 * MiB });
  it('lowers a default that nobody asked for', () => {
    expect(fitToTenant(runLimitsSchema.parse({}), tenant).memoryBytes).toBe(128 * MiB);
  });
  it('refuses what was asked for', () => {
    expect(() => fitToTenant(runLimitsSchema.parse({ memoryBytes: 129 * MiB }), tenant)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});
