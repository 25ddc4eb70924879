import { execForm } from '../words/exec-form.js';
import type { Command, CommandLine, HealthCheckInstruction, Run, Shell } from './instructions.js';
import { parseDurationMs } from './duration.js';
import { head } from './parse-pairs.js';
import { parseRunMount } from './run-mount.js';
import type { Statement } from './statement.js';

function commandLine(statement: Statement): CommandLine {
  const argv = execForm(statement.rest);
  return argv === undefined ? { form: 'shell', line: statement.rest } : { form: 'exec', argv };
}

export function parseRun(statement: Statement): Run {
  statement.expectFlags(['mount', 'network', 'security'], { repeated: ['mount'] });
  statement.requireArguments();
  const command = commandLine(statement);
  if (command.form === 'exec' && command.argv.length === 0) throw statement.refuse('RUN requires at least one argument');
  const network = statement.flag('network') ?? 'default';
  if (network !== 'default' && network !== 'none' && network !== 'host') throw statement.refuse(`invalid network mode ${JSON.stringify(network.slice(0, 100))}: default, none or host`);
  const security = statement.flag('security') ?? 'sandbox';
  if (security !== 'sandbox') throw statement.refuse(`the security mode ${JSON.stringify(security.slice(0, 100))} is not allowed here`);
  const mounts = statement.flags.flatMap((flag) => (flag.name === 'mount' ? [parseRunMount(flag.value ?? '', flag.place)] : []));
  return { kind: 'RUN', ...head(statement), command, heredocs: statement.heredocs, mounts, network };
}

export function parseCommand(statement: Statement, kind: 'CMD' | 'ENTRYPOINT'): Command {
  statement.expectFlags([]);
  return { kind, ...head(statement), command: statement.rest === '' ? { form: 'exec', argv: [] } : commandLine(statement) };
}

export function parseShell(statement: Statement): Shell {
  statement.expectFlags([]);
  const argv = execForm(statement.rest);
  if (argv === undefined || argv.length === 0) throw statement.refuse('SHELL requires the arguments to be in JSON form');
  return { kind: 'SHELL', ...head(statement), argv };
}

export function parseHealthCheck(statement: Statement): HealthCheckInstruction {
  statement.requireArguments();
  const [first = ''] = statement.rest.split(/\s/, 1);
  const type = first.toUpperCase();
  const line = statement.rest.slice(first.length).trim();
  if (type === 'NONE') {
    if (line !== '' || statement.flags.length > 0) throw statement.refuse('HEALTHCHECK NONE takes no arguments');
    return { kind: 'HEALTHCHECK', ...head(statement), test: ['NONE'], intervalMs: undefined, timeoutMs: undefined, startPeriodMs: undefined, startIntervalMs: undefined, retries: undefined };
  }
  if (type !== 'CMD') throw statement.refuse(`unknown type ${JSON.stringify(first.slice(0, 100))} in HEALTHCHECK (try CMD)`);
  if (line === '') throw statement.refuse('missing command after HEALTHCHECK CMD');
  statement.expectFlags(['interval', 'timeout', 'start-period', 'start-interval', 'retries']);
  const argv = execForm(line);
  return {
    kind: 'HEALTHCHECK',
    ...head(statement),
    test: argv === undefined ? ['CMD-SHELL', line] : ['CMD', ...argv],
    intervalMs: duration(statement, 'interval'),
    timeoutMs: duration(statement, 'timeout'),
    startPeriodMs: duration(statement, 'start-period'),
    startIntervalMs: duration(statement, 'start-interval'),
    retries: retries(statement),
  };
}

/** 0 is the default. */
function duration(statement: Statement, name: string): number | undefined {
  const text = statement.flag(name);
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms === undefined) throw statement.refuse(`invalid duration in --${name}: ${JSON.stringify(text.slice(0, 100))}`);
  if (ms < 0) throw statement.refuse(`the interval of --${name} cannot be negative`);
  if (ms !== 0 && ms < 1) throw statement.refuse(`--${name} cannot be less than 1ms`);
  return ms === 0 ? undefined : ms;
}

function retries(statement: Statement): number | undefined {
  const text = statement.flag('retries');
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw statement.refuse(`--retries must be a whole number and not negative, not ${JSON.stringify(text.slice(0, 100))}`);
  return Number(text) === 0 ? undefined : Number(text);
}
