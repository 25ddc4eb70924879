import { join } from 'node:path';
import { TEST_DATA_DIR } from '../setup/settings.mjs';

/** Images and logs, kept between runs; outside the checkout. About 2 GiB, mostly sparse. */
export const VM_DIR = process.env.SANDBAR_TEST_VM_DIR ?? join(TEST_DATA_DIR, 'vm');

/** `kvm` where the machine has it: some ten times faster. `tcg` emulates and works everywhere. */
export const ACCELERATOR = process.env.SANDBAR_TEST_VM_ACCEL ?? 'tcg';
export const CPUS = 2;
export const MEMORY_MIB = 2048;
/** Of one run; the whole check takes a few minutes. */
export const DEADLINE_MS = 20 * 60_000;

/** In the machine. */
export const GUEST_CHECKOUT = '/checkout';
export const GUEST_STORE = '/var/lib/sandbar-test';
/** Which runtime's root file system the machine gets. */
export const RUNTIME = 'bash';
