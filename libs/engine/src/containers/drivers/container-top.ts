import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { Sandbox } from '../../runtime/index.js';
import type { ProcessTable } from '../containers.js';
import { userNames } from './guest-accounts.js';
import { parsePsArguments } from './ps-arguments.js';
import { sandboxProcesses } from './sandbox-processes.js';

/** @param passwd of the container; '' when it cannot be had @throws CodedError `invalid_argument` */
export async function containerTop(sandbox: Sandbox, psArgs: string, passwd: () => Promise<string>): Promise<ProcessTable> {
  const fields = parsePsArguments(psArgs);
  const [processes, names, stat] = await Promise.all([sandboxProcesses(sandbox), passwd().then(userNames), readFile('/proc/stat', 'latin1')]);
  const moment = {
    now: Date.now(),
    bootAt: Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0) * 1000,
    memoryBytes: totalmem(),
    nameOf: (uid: number) => names.get(uid) ?? (uid === 0 ? 'root' : String(uid)),
  };
  return { titles: fields.map(({ title }) => title), processes: processes.map((process) => fields.map(({ column }) => column.text(process, moment))) };
}
