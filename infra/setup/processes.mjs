import { readFileSync } from 'node:fs';

/** Field 22 of /proc/PID/stat: together with the pid it names one process for ever, a pid alone is used again. Undefined when it is gone. */
export function startTimeOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold anything, parentheses too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function identityOf(pid) {
  return { pid, startTime: startTimeOf(pid) };
}

export function isAlive({ pid, startTime } = {}) {
  return Number.isInteger(pid) && startTime !== undefined && startTimeOf(pid) === startTime;
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until `probe` gives something true. False when the time is over. */
export async function waitUntil(probe, timeoutMs, intervalMs = 25) {
  const end = performance.now() + timeoutMs;
  for (;;) {
    if (await probe()) return true;
    if (performance.now() >= end) return false;
    await sleep(intervalMs);
  }
}

/** Signals a process of an earlier start, and kills it when it does not go in time. */
export async function endProcess(identity, signal, timeoutMs) {
  if (!isAlive(identity)) return;
  send(identity, signal);
  if (await waitUntil(() => !isAlive(identity), timeoutMs)) return;
  send(identity, 'SIGKILL');
  await waitUntil(() => !isAlive(identity), 5000);
}

function send(identity, signal) {
  try {
    if (isAlive(identity)) process.kill(identity.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
