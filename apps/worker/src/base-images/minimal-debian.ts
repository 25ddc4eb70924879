import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingArea } from '#engine';
import { CodedError, systemClock, type Clock } from '#kernel';
import { debianRootfs } from './debian-rootfs.js';
import { findAptNetworkOptions, findDebianSources, type DebianSources } from './debian-sources.js';

const DAY_SECONDS = 86_400;
const TOOLS = ['mmdebstrap', 'unshare', 'setpriv', 'tar', 'apt-config'];
const TOOL_FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export interface MinimalDebianOptions {
  readonly dataDir: string;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** Debian's minimal system, as mmdebstrap makes it of the machine's own mirrors. Of one day (UTC) and the same packages on the mirror come the same bytes. */
export class MinimalDebian {
  private constructor(
    private readonly options: MinimalDebianOptions,
    readonly sources: DebianSources,
    /** The beginning of the day, seconds since the epoch. */
    readonly epoch: number,
  ) {}

  /** @throws CodedError `failed_precondition`: Debian's keys are missing */
  static async find(options: MinimalDebianOptions): Promise<MinimalDebian> {
    const epoch = Math.floor((options.clock ?? systemClock).now() / 1000 / DAY_SECONDS) * DAY_SECONDS;
    return new MinimalDebian(options, await findDebianSources(), epoch);
  }

  /** `bookworm` */
  get suite(): string {
    return this.sources.suite;
  }

  /** @throws CodedError as `debianRootfs`, and `failed_precondition` naming what is missing on this machine */
  async *rootfs(say: (percent: number, message: string) => void): AsyncGenerator<Uint8Array, void, void> {
    const { dataDir, signal } = this.options;
    await checkMachine();
    const staging = await StagingArea.open(join(dataDir, 'engine', 'rootfs-staging'), 0o711);
    yield* debianRootfs({
      recipe: { sources: this.sources, aptOptions: await findAptNetworkOptions() },
      workDir: staging.newPath(),
      sourceDateEpoch: this.epoch,
      signal,
      onStep: say,
    });
  }
}

/** @throws CodedError `failed_precondition` */
async function checkMachine(): Promise<void> {
  if (process.geteuid?.() !== 0) throw new CodedError('failed_precondition', 'root file systems are made by root: start as root');
  const missing: string[] = [];
  for (const tool of TOOLS) {
    const found = await Promise.allSettled(TOOL_FOLDERS.map((folder) => access(join(folder, tool))));
    if (found.every((look) => look.status === 'rejected')) missing.push(tool);
  }
  if (missing.length > 0) throw new CodedError('failed_precondition', `missing on this machine: ${missing.join(', ')} (Debian packages: mmdebstrap, util-linux, tar, apt)`, { missing });
}
