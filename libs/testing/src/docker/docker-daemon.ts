import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Of Debian's package `docker.io`. */
export const DOCKER_DAEMON = '/usr/sbin/dockerd';
const READY_WITHIN_MS = 20_000;
/** No bridge and no firewall rules: the machine stays as it is, and containers have `--network none`. */
const LEAVES_THE_MACHINE_ALONE = ['--bridge', 'none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
const IN_A_NETWORK_OF_ITS_OWN = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];

/** Docker's own daemon, in a folder of its own: whom Sandbar is compared with, and whose archives it takes. */
export class DockerDaemon {
  private constructor(
    private readonly folder: string,
    private readonly daemon: ChildProcess,
  ) {}

  /**
   * `bridged`: with its usual bridge and firewall rules, in a network name space of its own.
   * @throws Error with the daemon's last words when it does not come up
   */
  static async start({ bridged = false }: { readonly bridged?: boolean } = {}): Promise<DockerDaemon> {
    const folder = await mkdtemp(join(tmpdir(), 'docker-daemon-'));
    const log = await open(join(folder, 'log'), 'w');
    const places = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '-H', `unix://${join(folder, 'sock')}`, '--pidfile', join(folder, 'pid')];
    const [program, ...args] = bridged ? [...IN_A_NETWORK_OF_ITS_OWN, DOCKER_DAEMON, ...places] : [DOCKER_DAEMON, ...places, ...LEAVES_THE_MACHINE_ALONE];
    const daemon = spawn(program ?? DOCKER_DAEMON, args, { stdio: ['ignore', log.fd, log.fd] });
    daemon.on('error', () => undefined);
    await log.close();
    const self = new DockerDaemon(folder, daemon);
    try {
      await self.ready();
    } catch (error) {
      await self.stop();
      throw error;
    }
    return self;
  }

  get socketPath(): string {
    return join(this.folder, 'sock');
  }

  /** For `docker -H`. */
  get host(): string {
    return `unix://${this.socketPath}`;
  }

  async stop(): Promise<void> {
    if (this.runs()) {
      const ended = once(this.daemon, 'exit');
      this.daemon.kill('SIGTERM');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  private runs(): boolean {
    return this.daemon.pid !== undefined && this.daemon.exitCode === null && this.daemon.signalCode === null;
  }

  private async ready(): Promise<void> {
    const until = Date.now() + READY_WITHIN_MS;
    while (this.runs() && Date.now() < until) {
      if (await this.answers()) return;
      await sleep(100);
    }
    const words = (await readFile(join(this.folder, 'log'), 'utf8')).split('\n').slice(-5).join('\n');
    throw new Error(`${DOCKER_DAEMON} did not start (it is of the package docker.io): ${words}`);
  }

  private answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const ping = request({ socketPath: this.socketPath, path: '/_ping' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      ping.on('error', () => {
        resolve(false);
      });
      ping.end();
    });
  }
}
