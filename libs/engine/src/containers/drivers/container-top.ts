import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { Sandbox } from '../../runtime/index.js';
import type { ProcessListing } from '../containers.js';
import { parsePsArguments } from './ps-arguments.js';
import { sandboxProcesses } from './sandbox-processes.js';

/** @param names of users by number, as far as they are known @throws CodedError `invalid_argument` */
export async function containerTop(sandbox: Sandbox, psArgs: string, names: ReadonlyMap<number, string>): Promise<ProcessListing> {
  const fields = parsePsArguments(psArgs);
  const [processes, stat] = await Promise.all([sandboxProcesses(sandbox), readFile('/proc/stat', 'latin1')]);
  const moment = {
    now: Date.now(),
    bootAt: Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0) * 1000,
    memoryBytes: totalmem(),
    nameOf: (uid: number) => names.get(uid) ?? (uid === 0 ? 'root' : String(uid)),
  };
  return { titles: fields.map(({ title }) => title), processes: processes.map((process) => fields.map(({ column }) => column.text(process, moment))) };
}
