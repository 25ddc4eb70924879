import { closeSync, copyFileSync, existsSync, openSync, readSync, renameSync, statSync, truncateSync } from 'node:fs';

const ROTATE_AT_START_BYTES = 8 * 1024 * 1024;
const ROTATE_RUNNING_BYTES = 64 * 1024 * 1024;
const POLL_MS = 2000;

/** Keeps one older log beside the present one. */
export function rotateAtStart(file) {
  if (existsSync(file) && statSync(file).size > ROTATE_AT_START_BYTES) renameSync(file, `${file}.1`);
}

/** Follows a service's log from its present end: counts its warnings for the terminal, and cuts it when it has grown too long. */
export class LogWatcher {
  #file;
  #name;
  #tell;
  #offset;
  #timer;
  #rest = '';

  /** `tell(name, { count, newest })`: the warnings and errors since the last time. */
  constructor(name, file, tell) {
    this.#name = name;
    this.#file = file;
    this.#tell = tell;
    this.#offset = existsSync(file) ? statSync(file).size : 0;
    this.#timer = setInterval(() => this.poll(), POLL_MS);
    this.#timer.unref();
  }

  poll() {
    const size = existsSync(this.#file) ? statSync(this.#file).size : 0;
    if (size < this.#offset) this.#offset = 0;
    const warnings = this.#read(size).filter(isWarning);
    if (warnings.length > 0) this.#tell(this.#name, { count: warnings.length, newest: wordsOf(warnings.at(-1)) });
    if (size > ROTATE_RUNNING_BYTES) this.#cut();
  }

  close() {
    clearInterval(this.#timer);
  }

  #read(size) {
    const length = Math.min(size - this.#offset, 1024 * 1024);
    if (length <= 0) return [];
    const buffer = Buffer.alloc(length);
    const descriptor = openSync(this.#file, 'r');
    try {
      readSync(descriptor, buffer, 0, length, size - length);
    } finally {
      closeSync(descriptor);
    }
    this.#offset = size;
    const lines = `${this.#rest}${buffer.toString('utf8')}`.split('\n');
    this.#rest = lines.pop().slice(0, 64 * 1024);
    return lines;
  }

  /** The service appends (O_APPEND), so it goes on at the new end. */
  #cut() {
    copyFileSync(this.#file, `${this.#file}.1`);
    truncateSync(this.#file, 0);
    this.#offset = 0;
  }
}

function isWarning(line) {
  const level = /^\{"level":"(\w+)"/.exec(line)?.[1];
  if (level !== undefined) return ['warn', 'error', 'fatal'].includes(level);
  // Our own look whether it is up, and advice about the host's sysctl that suits larger databases.
  if (/the database system is starting up|Memory overcommit/.test(line)) return false;
  return / (WARNING|ERROR|FATAL|PANIC): {2}|^\d+:M .* # (WARNING|.*[Ee]rror)/.test(line);
}

function wordsOf(line) {
  try {
    const { msg, err } = JSON.parse(line);
    return [msg, err?.message].filter(Boolean).join(': ').slice(0, 160);
  } catch {
    return line.slice(0, 160);
  }
}
