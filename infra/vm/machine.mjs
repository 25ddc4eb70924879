import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SetupError } from '../setup/setup-error.mjs';
import { ACCELERATOR, CPUS, DEADLINE_MS, MEMORY_MIB } from './settings.mjs';

const UP = 'sandbar-vm: up';

/**
 * Boots the machine and runs its command. The whole serial line goes to `logFile`; `onLine` hears what follows the boot.
 * Returns the command's exit code. @throws SetupError when the machine ends without one, or not in time
 */
export function runMachine({ images, checkoutDisk, logFile, onLine }) {
  const argv = [
    ...['-accel', ACCELERATOR === 'tcg' ? 'tcg,thread=multi' : ACCELERATOR, ...(ACCELERATOR === 'kvm' ? ['-cpu', 'host'] : ['-cpu', 'max'])],
    ...['-smp', String(CPUS), '-m', String(MEMORY_MIB), '-nographic', '-no-reboot', '-nodefaults', '-serial', 'stdio', '-nic', 'none'],
    ...['-kernel', join(images, 'vmlinuz'), '-initrd', join(images, 'initrd'), '-append', 'console=ttyS0 quiet panic=-1'],
    // What the machine writes goes to a temporary file and is gone with it.
    ...['-drive', `file=${join(images, 'disk.img')},if=virtio,format=raw,snapshot=on`],
    ...['-drive', `file=${checkoutDisk},if=virtio,format=raw,readonly=on`],
  ];
  return new Promise((resolve, reject) => {
    const machine = spawn('qemu-system-x86_64', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(logFile);
    let up = false;
    let exitCode;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      machine.kill('SIGKILL');
    }, DEADLINE_MS);
    const stop = () => machine.kill('SIGKILL');
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, stop);
    machine.stderr.pipe(log, { end: false });
    createInterface({ input: machine.stdout }).on('line', (raw) => {
      const line = raw.replace(/\r$/, '');
      log.write(`${line}\n`);
      // The firmware's last words may stand before it on the line.
      const start = line.indexOf(UP);
      if (start >= 0 && !up) {
        up = true;
        onLine(line.slice(start));
        return;
      }
      const end = /^sandbar-vm: exit (\d+)$/.exec(line);
      if (end) exitCode = Number(end[1]);
      else if (up && exitCode === undefined) onLine(line);
    });
    machine.once('error', (error) => {
      clearTimeout(timer);
      reject(new SetupError(error.code === 'ENOENT' ? 'qemu-system-x86_64 is missing' : error.message, { mend: 'apt-get install --no-install-recommends qemu-system-x86' }));
    });
    machine.once('close', () => {
      clearTimeout(timer);
      log.end();
      if (exitCode !== undefined) resolve(exitCode);
      else reject(new SetupError(late ? `the machine was not done after ${DEADLINE_MS / 60_000} minutes` : 'the machine ended before its command did'));
    });
  });
}
