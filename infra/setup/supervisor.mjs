import { readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { DATABASE_USER, GATEWAY_USER, ensureAccount } from './accounts.mjs';
import { cgroupLayout } from './checks.mjs';
import { writeFileAtomic } from './data-folder.mjs';
import { endProcess } from './processes.mjs';
import { SupervisedChild } from './services/child.mjs';
import { LogWatcher, rotateAtStart } from './services/log-files.mjs';
import { checkGivenRedis, placeOfDatabase } from './services/given.mjs';
import { gatewayService, workerService } from './services/node-apps.mjs';
import { postgresService } from './services/postgres.mjs';
import { redisService } from './services/redis.mjs';

/** In this order; stopped in the other. */
const ORDER = ['postgres', 'redis', 'worker', 'gateway'];

/** The services of one data folder. The state that others may read (pids, whether all is ready) is in `run/status.json`. */
export class Supervisor {
  #settings;
  #paths;
  #print;
  #children = new Map();
  #watchers = [];
  #state = 'starting';
  #stopped;
  context;

  constructor(settings, paths, print) {
    this.#settings = settings;
    this.#paths = paths;
    this.#print = print;
  }

  /** Ends what an earlier supervisor left and fixes where database and Redis are. */
  async prepare() {
    const [gateway, database] = [await ensureAccount(GATEWAY_USER), await ensureAccount(DATABASE_USER)];
    this.context = { settings: this.#settings, paths: this.#paths, accounts: { gateway, database } };
    await this.#endLeftovers();
    const own = [
      this.#settings.databaseUrl ? undefined : postgresService(this.context),
      this.#settings.redisUrl ? undefined : redisService(this.context),
    ].filter(Boolean);
    const urlOf = (name) => own.find((service) => service.name === name)?.url;
    this.context.databaseUrl = this.#settings.databaseUrl ?? urlOf('postgres');
    this.context.redisUrl = this.#settings.redisUrl ?? urlOf('redis');
    for (const service of [...own, workerService(this.context), gatewayService(this.context)]) this.#add(service);
  }

  #add(service) {
    const file = `${this.#paths.log}/${service.name}.log`;
    rotateAtStart(file);
    this.#watchers.push(new LogWatcher(service.name, file, (name, { count, newest }) => {
      if (this.#state !== 'stopping') this.#print(`! ${name}: ${count === 1 ? '' : `${count} warnings, the newest: `}${newest}`);
    }));
    this.#children.set(service.name, new SupervisedChild(service, file, (event) => this.#heard(event)));
  }

  /** Resolves when that service is ready. One that is not ours is only looked at; then it gives its place in words. */
  async start(name) {
    if (this.#stopped) return undefined;
    if (name === 'postgres' && this.#settings.databaseUrl) return placeOfDatabase(this.#settings.databaseUrl);
    if (name === 'redis' && this.#settings.redisUrl) return checkGivenRedis(this.#settings.redisUrl);
    return this.#children.get(name)?.start();
  }

  ready() {
    this.#state = 'ready';
    this.#writeStatus();
  }

  get stopping() {
    return this.#stopped !== undefined;
  }

  #heard(event) {
    this.#writeStatus();
    if (event.type === 'ended' && !event.expected && this.#state === 'ready') {
      this.#print(`! ${event.name} ended (${event.how}); it is started again. Log: ${this.#paths.log}/${event.name}.log`);
    }
    if (event.type === 'back') this.#print(`✔ ${event.name} is back`);
    if (event.type === 'failed') this.#print(`! ${event.error.message}; trying again`);
    if (event.type === 'killed') this.#print(`! ${event.name} did not stop in time and was killed`);
  }

  /** Idempotent. Afterwards nothing of this instance is left but its files. */
  stop() {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll() {
    this.#state = 'stopping';
    this.#writeStatus();
    for (const name of [...ORDER].reverse()) await this.#children.get(name)?.stop();
    for (const watcher of this.#watchers) watcher.close();
    removeEmptyCgroups(this.#settings.cgroupRoot);
    for (const file of [this.#paths.rpcSocket, this.#paths.redisSocket, this.#paths.status]) rmSync(file, { force: true });
  }

  #writeStatus() {
    const services = Object.fromEntries([...this.#children].filter(([, child]) => child.identity).map(([name, child]) => [name, { ...child.identity, restarts: child.restarts }]));
    const status = { state: this.#state, url: this.#settings.url, cgroupRoot: this.#settings.cgroupRoot, supervisor: process.pid, services };
    writeFileAtomic(this.#paths.status, `${JSON.stringify(status)}\n`, 0o644);
  }

  async #endLeftovers() {
    const services = readStatus(this.#paths)?.services ?? {};
    const signals = { gateway: 'SIGKILL', worker: 'SIGKILL', redis: 'SIGTERM', postgres: 'SIGINT' };
    for (const name of [...ORDER].reverse()) await endProcess(services[name], signals[name], 10_000);
  }
}

export function readStatus(paths) {
  try {
    return JSON.parse(readFileSync(paths.status, 'utf8'));
  } catch {
    return undefined;
  }
}

/** rmdir(2) takes away only what has no process in it, so this can end nothing. */
function removeEmptyCgroups(name) {
  for (const root of cgroupLayout().roots) removeTree(join(root, name));
}

function removeTree(path) {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(path, entry.name));
    rmdirSync(path);
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EBUSY' && error.code !== 'ENOTEMPTY') throw error;
  }
}
