import { fstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunView } from '#contracts';
import { SandbarApiError, type SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError, EXIT } from '../failure.js';
import { OutputClosed, writeFrames } from '../frame-writer.js';
import { collect } from '../option-values.js';
import { parseDuration, parseSize } from '../quantities.js';
import { outcomeOf } from '../run-outcome.js';
import { readLocalFile, readProgram, readStdin, runRequest, runtimeFor, type RunOptions } from '../run-request.js';
import { cancelWithTerminal } from '../terminal-cancel.js';

export function registerRun(program: Command): void {
  program
    .command('run')
    .summary('run a program in a fresh sandbox')
    .description('Runs FILE (- for stdin) in a fresh sandbox: its output comes as it is written, its exit code becomes this one.\nExit codes of its own: 124 timed out, 137 memory, 153 output, 130 cancelled, 125 Sandbar failed.')
    .argument('<file>', 'the program, or - for stdin')
    .argument('[args...]', 'its arguments, after --')
    .option('-r, --runtime <name>', 'language; by default from the ending of the file')
    .option('-f, --file <path[=place]>', 'one more file for its working folder (again for more)', collect)
    .option('-t, --timeout <duration>', 'CPU time and elapsed time of a step, such as 10s', parseDuration)
    .option('-m, --memory <size>', 'memory of all its processes, such as 256MiB', parseSize)
    .option('-e, --env <name[=value]>', 'environment variable (again for more)', collect)
    .option('-l, --label <key=value>', 'label of the run (again for more)', collect)
    .option('-i, --stdin <file>', 'its stdin: a file, or - for this terminal')
    .option('-u, --user <name>', 'runner or root inside the sandbox')
    .action(async (file: string, args: string[], options: RunOptions, command: Command) => {
      process.exitCode = await runFile(connect(command.optsWithGlobals<GlobalOptions>()), file, args, options);
    });
}

async function runFile(client: SandbarClient, file: string, args: readonly string[], options: RunOptions): Promise<number> {
  if (file === '-' && options.stdin === '-') throw new CliError('stdin cannot be both the program and its stdin', '', EXIT.usage);
  if (file === '-' && options.runtime === undefined) throw new CliError('a program from stdin has no name to know its runtime by', 'Name it with -r, such as -r python', EXIT.usage);
  const code = await readProgram(file);
  const runtime = options.runtime ?? runtimeFor(file, await client.runtimes.list());
  const live = options.stdin === '-' && !fstatSync(0).isFile();
  const bytes = options.stdin === undefined || live ? Buffer.alloc(0) : options.stdin === '-' ? await readStdin() : readLocalFile(options.stdin);
  const { id } = await client.runs.create(runRequest(runtime, code, args, options, { bytes, open: live }));
  cancelWithTerminal(id, () => client.runs.cancel(id));
  if (live) void forwardStdin(client, id);
  try {
    await writeFrames(client.runs.logs(id));
  } catch (error) {
    if (!(error instanceof OutputClosed)) throw error;
    // What the program would still write is wanted by nobody.
    await client.runs.cancel(id);
    return EXIT.brokenPipe;
  }
  return report(await client.runs.wait(id));
}

function report(view: RunView): number {
  const { exitCode, message } = outcomeOf(view);
  if (message !== '') process.stderr.write(`sandbar: ${message}\n`);
  return exitCode;
}

const CHUNK_BYTES = 512 * 1024;

async function forwardStdin(client: SandbarClient, id: string): Promise<void> {
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES) await sendStdin(client, id, { data: chunk.subarray(at, at + CHUNK_BYTES).toString('base64'), encoding: 'base64' });
    }
    await sendStdin(client, id, { eof: true });
  } catch {
    // The program has ended, or its stdin is closed: its result says how it went.
    process.stdin.destroy();
  }
}

/** A program that has not started has no stdin yet. */
async function sendStdin(client: SandbarClient, id: string, chunk: Parameters<SandbarClient['runs']['stdin']>[1]): Promise<void> {
  for (;;) {
    try {
      await client.runs.stdin(id, chunk);
      return;
    } catch (error) {
      // By what the refusal says, not by the state of the run: that may have changed since.
      if (!(error instanceof SandbarApiError) || (error.code !== 'unavailable' && error.details['started'] !== false)) throw error;
      await sleep(50);
    }
  }
}
