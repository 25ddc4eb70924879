import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { CHECKOUT } from './checkout.js';
import { registerBuild } from './commands/build.js';
import { registerBuildSources } from './commands/build-sources.js';
import { registerBuilds } from './commands/builds.js';
import { registerDockerContext } from './commands/docker-context.js';
import { registerCopy } from './commands/copy.js';
import { registerEvents } from './commands/events.js';
import { registerExec } from './commands/exec.js';
import { registerImages } from './commands/images.js';
import { registerKeys } from './commands/keys.js';
import { registerLogin } from './commands/login.js';
import { registerLogs } from './commands/logs.js';
import { registerMachine } from './commands/machine.js';
import { registerNetworks } from './commands/networks.js';
import { registerPortForward } from './commands/port-forward.js';
import { registerRun } from './commands/run.js';
import { registerRuns } from './commands/runs.js';
import { registerRuntimes } from './commands/runtimes.js';
import { registerSandboxes } from './commands/sandboxes.js';
import { registerTenants } from './commands/tenants.js';
import { registerVolumes } from './commands/volumes.js';
import { CliError, EXIT, describeFailure } from './failure.js';
import { OutputClosed } from './frame-writer.js';

function version(): string {
  const { version: text } = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string };
  return text;
}

function buildProgram(): Command {
  const program = new Command('sandbar')
    .description('Run code in sandboxes.')
    .version(`sandbar ${version()}`, '-V, --version')
    .option('--url <url>', 'the server (SANDBAR_URL)')
    .option('--api-key <key>', 'the key (SANDBAR_API_KEY; other users of this machine can see flags)')
    .showHelpAfterError('(sandbar --help shows what there is)')
    .exitOverride();
  registerRun(program);
  registerLogs(program);
  registerRuns(program);
  registerRuntimes(program);
  registerLogin(program);
  registerBuild(program);
  registerBuilds(program);
  registerBuildSources(program);
  registerImages(program);
  registerVolumes(program);
  registerSandboxes(program);
  registerExec(program);
  registerCopy(program);
  registerPortForward(program);
  registerNetworks(program);
  registerEvents(program);
  registerTenants(program);
  registerKeys(program);
  registerDockerContext(program);
  registerMachine(program);
  program.command('version').summary('print the version').action(() => {
    process.stdout.write(`sandbar ${version()}\n`);
  });
  return program;
}

async function main(): Promise<void> {
  // A reader that has gone is seen where we write; without a listener the event would end the process with a stack.
  for (const out of [process.stdout, process.stderr]) out.on('error', () => undefined);
  const program = buildProgram();
  let command = '';
  program.hook('preAction', (_program, action) => { command = action.name(); });
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // It has printed its own words. Asking for help is no mistake.
      process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
      return;
    }
    if (error instanceof OutputClosed) {
      process.exitCode = EXIT.brokenPipe;
      return;
    }
    process.stderr.write(`sandbar: ${describeFailure(error)}\n`);
    process.exitCode = error instanceof CliError ? error.exitCode : ['run', 'exec'].includes(command) ? EXIT.sandbarFailed : EXIT.failed;
  }
}

await main();
// Sockets that are kept for a next request would hold the process for seconds.
process.exit();
