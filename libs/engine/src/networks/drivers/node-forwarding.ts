import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, type Logger } from '#kernel';
import type { NetHelper } from '../net-helper.js';
import { TABLE_PREFIX } from '../node-rules.js';

/** Names of interfaces that some instance switched on, for all instances on the machine; gone with the next boot, as is what they tell of. */
const MARKS = '/run/sandbar-forwarding';

/**
 * Forwarding of IPv4 (ip-sysctl, `conf/<interface>/forwarding`) on the interfaces that lead out, and on no other: the kernel asks the interface by which a
 * packet came in. Others' packets are kept out by each instance's rules. The last instance that ends puts it back.
 */
export class NodeForwarding {
  constructor(
    private readonly helper: NetHelper,
    private readonly logger: Logger,
  ) {}

  /** Those that an instance switched on; none when somebody else has switched it on for the whole machine: then what passes is theirs to decide. */
  async guarded(): Promise<string[]> {
    return (await readFile('/proc/sys/net/ipv4/ip_forward', 'latin1')).trim() === '1' ? [] : marked();
  }

  async missing(interfaces: readonly string[]): Promise<string[]> {
    const states = await Promise.all(interfaces.map(async (name) => ({ name, on: await isOn(name) })));
    return states.filter(({ on }) => !on).map(({ name }) => name);
  }

  /** Marked before it is done: whoever ends last must know what to put back. */
  async ensure(interfaces: readonly string[]): Promise<void> {
    const off = await this.missing(interfaces);
    if (off.length === 0) return;
    await mkdir(MARKS, { recursive: true, mode: 0o700 });
    for (const name of off) {
      await writeFile(join(MARKS, name), '');
      await set(name, '1');
    }
    this.logger.info({ interfaces: off }, 'networks: switched on forwarding, for sandboxes only');
  }

  /** This instance's table is gone. Another that came meanwhile has looked before or finds it on again. */
  async release(): Promise<void> {
    const names = await marked();
    if (names.length === 0 || (await this.#others())) return;
    for (const name of names) await set(name, '0');
    if (await this.#others()) for (const name of names) await set(name, '1');
    else await rm(MARKS, { recursive: true, force: true });
  }

  async #others(): Promise<boolean> {
    return (await this.helper.tables()).some((name) => name.startsWith(TABLE_PREFIX));
  }
}

async function marked(): Promise<string[]> {
  try {
    return (await readdir(MARKS)).sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function isOn(name: string): Promise<boolean> {
  return (await readFile(`/proc/sys/net/ipv4/conf/${name}/forwarding`, 'latin1')).trim() === '1';
}

async function set(name: string, value: '0' | '1'): Promise<void> {
  try {
    await writeFile(`/proc/sys/net/ipv4/conf/${name}/forwarding`, value);
  } catch (error) {
    // An interface that is gone forwards nothing.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
