import { constants } from 'node:os';
import type { CreateSandboxExecInput, ProcessExit } from '#contracts';
import { SandbarApiError, type ProcessSession, type SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { DetachKeys, parseDetachKeys } from '../detach-keys.js';
import { CliError, EXIT } from '../failure.js';
import { OutputClosed, writeBytes } from '../frame-writer.js';
import { collect, pairs } from '../option-values.js';
import { RawTerminal } from '../terminal.js';

interface ExecOptions {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly env?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly detachKeys: string;
}

export function registerExec(program: Command): void {
  program
    .command('exec')
    .summary('run a program in a sandbox')
    .description("Runs a program in a sandbox that runs: its exit code becomes this one. 126 and 127: it cannot be executed; 125: Sandbar failed.")
    .argument('<sandbox>', 'name or ID')
    .argument('<command...>', 'the program and its arguments, after --')
    .option('-i, --interactive', 'its stdin is this one')
    .option('-t, --tty', 'a terminal: this one is handed to it')
    .option('-d, --detach', 'do not wait for it: print its id')
    .option('-e, --env <name[=value]>', 'environment variable (again for more)', collect)
    .option('-u, --user <user[:group]>', 'names or numbers')
    .option('-w, --workdir <path>', 'working folder')
    .option('--detach-keys <keys>', 'with -t: what leaves it and lets it go on', 'ctrl-p,ctrl-q')
    .action(async (sandbox: string, command: string[], options: ExecOptions, self: Command) => {
      process.exitCode = await execute(connect(self.optsWithGlobals<GlobalOptions>()), sandbox, command, options);
    });
}

async function execute(client: SandbarClient, sandbox: string, command: readonly string[], options: ExecOptions): Promise<number> {
  const request: CreateSandboxExecInput = {
    command: [...command],
    env: pairs(options.env ?? [], (name) => process.env[name]),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.workdir === undefined ? {} : { workingDir: options.workdir }),
    stdinOpen: options.interactive === true,
  };
  try {
    if (options.detach === true) {
      process.stdout.write(`${(await client.execs.start(sandbox, { ...request, tty: options.tty === true })).id}\n`);
      return 0;
    }
    return options.tty === true ? await inTerminal(client, sandbox, request, options) : await plainly(client, sandbox, request, options);
  } catch (error) {
    const exitCode = error instanceof SandbarApiError ? error.details['exitCode'] : undefined;
    if (typeof exitCode !== 'number') throw error;
    throw new CliError((error as Error).message, '', exitCode);
  }
}

async function inTerminal(client: SandbarClient, sandbox: string, request: CreateSandboxExecInput, { interactive, detachKeys }: ExecOptions): Promise<number> {
  const keys = new DetachKeys(parseDetachKeys(detachKeys));
  const terminal = interactive === true ? RawTerminal.enter() : undefined;
  const leave = (): void => {
    terminal?.leave();
  };
  process.once('exit', leave);
  try {
    const { columns, rows } = terminal?.size ?? { columns: 0, rows: 0 };
    const term = process.env.TERM;
    const env = { ...(term === undefined ? {} : { TERM: term }), ...request.env };
    const { exec, session } = await client.execs.open(sandbox, { ...request, env, tty: true, ...(columns > 0 && rows > 0 ? { columns, rows } : {}) });
    terminal?.onSize((size) => {
      // Best effort: one that is lost is made good by the next.
      if (size.columns > 0 && size.rows > 0) session.resize(size).catch(() => undefined);
    });
    let detached = false;
    if (interactive === true)
      void forward(session, (typed) => {
        const { bytes, detached: now } = keys.take(typed);
        detached = now;
        return bytes;
      }, () => detached);
    const exit = await show(session);
    if (exit !== undefined) return exitCodeOf(exit);
    process.stderr.write(`\r\nsandbar: left ${exec.id}, which goes on\r\n`);
    return 0;
  } finally {
    leave();
    process.off('exit', leave);
  }
}

async function plainly(client: SandbarClient, sandbox: string, request: CreateSandboxExecInput, { interactive }: ExecOptions): Promise<number> {
  const { session } = await client.execs.open(sandbox, request);
  passSignals(session);
  if (interactive === true) void forward(session, (bytes) => bytes, () => false);
  const exit = await show(session);
  return exit === undefined ? EXIT.sandbarFailed : exitCodeOf(exit);
}

/** Stdin to the program, at its pace; its end, too. When `over` says so, the session is left. */
async function forward(session: ProcessSession, take: (bytes: Buffer) => Buffer, over: () => boolean): Promise<void> {
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      const bytes = take(chunk);
      if (bytes.length > 0) await session.write(bytes);
      if (over()) {
        session.close();
        return;
      }
    }
    await session.end();
  } catch {
    // The program has ended: its output says how.
    process.stdin.destroy();
  }
}

/** undefined: the session was left. */
async function show(session: ProcessSession): Promise<ProcessExit | undefined> {
  try {
    for await (const { stream, bytes } of session) await writeBytes(stream === 'stdout' ? process.stdout : process.stderr, bytes);
  } catch (error) {
    // As in a pipe of this machine.
    if (error instanceof OutputClosed) await session.signal('SIGPIPE').catch(() => undefined);
    throw error;
  }
  return session.exit;
}

/** The first ctrl-C is the program's, the second leaves it alone. */
function passSignals(session: ProcessSession): void {
  let asked = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
    process.on(name, () => {
      asked += name === 'SIGINT' ? 1 : 0;
      if (asked > 1) process.exit(EXIT.interrupted);
      session.signal(name).catch(() => undefined);
    });
  }
}

function exitCodeOf({ exitCode, signal }: ProcessExit): number {
  return exitCode ?? 128 + (constants.signals[signal as NodeJS.Signals] as number | undefined ?? 0);
}
