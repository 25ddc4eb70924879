import type { BuildNow, BuildSourceView, CreatedBuildSource } from '#contracts';
import type { Command } from 'commander';
import { changeOf, newSource, sourceOptions, type SourceFlags } from '../build-source-request.js';
import { connect, type GlobalOptions } from '../credentials.js';
import { parseCount } from '../quantities.js';
import { printJson, printTable, shortTime } from '../table.js';
import { followBuild, progressOption, type FollowFlags } from './build.js';

export function registerBuildSources(program: Command): void {
  const source = program.command('build-source').summary('automatic builds').description('Repositories whose pushes build images. The host of the repository calls a webhook of this server with each push.');
  registerChanges(source);
  registerViews(source);
  registerBuilds(source);
}

function registerChanges(source: Command): void {
  sourceOptions(source.command('create').summary('register a repository').argument('<name>').argument('<git-url>', 'such as https://git.example.com/team/app.git'))
    .option('--json', 'for programs')
    .action(async (name: string, url: string, flags: SourceFlags & { json?: boolean }, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      showSecret(await client.buildSources.create(newSource(name, url, flags)), client.url, flags);
    });

  sourceOptions(source.command('update').summary('change a source').description('What is given takes the place of what was; the rest stays.').argument('<source>', 'name or ID').option('--git <url>', 'address of the repository')).action(
    async (ref: string, flags: SourceFlags, command: Command) => {
      const { buildSources } = connect(command.optsWithGlobals<GlobalOptions>());
      const { git } = await buildSources.get(ref);
      await buildSources.update(ref, changeOf(flags, git));
      process.stdout.write(`${ref}\n`);
    },
  );

  source
    .command('new-secret')
    .summary('make a new secret for the webhook')
    .argument('<source>', 'name or ID')
    .option('--json', 'for programs')
    .action(async (ref: string, options: { json?: boolean }, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      showSecret(await client.buildSources.rotateSecret(ref), client.url, options);
    });

  source
    .command('rm')
    .summary('forget sources; their images stay')
    .argument('<source...>', 'names or IDs')
    .action(async (refs: string[], _options: object, command: Command) => {
      const { buildSources } = connect(command.optsWithGlobals<GlobalOptions>());
      for (const ref of refs) {
        await buildSources.remove(ref);
        process.stdout.write(`${ref}\n`);
      }
    });
}

function registerViews(source: Command): void {
  source
    .command('ls')
    .summary('list sources')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const { items } = await connect(command.optsWithGlobals<GlobalOptions>()).buildSources.list({ limit: 200 });
      if (options.json === true) printJson(items);
      else printTable(['SOURCE', 'REPOSITORY', 'BUILDS', 'NAMES', 'LAST DELIVERY', 'LAST BUILD'], items.map(rowOf));
    });

  source
    .command('inspect')
    .summary('all of a source but its secrets, as JSON')
    .argument('<source>', 'name or ID')
    .action(async (ref: string, _options: object, command: Command) => {
      printJson(await connect(command.optsWithGlobals<GlobalOptions>()).buildSources.get(ref));
    });

  source
    .command('deliveries')
    .summary('what came to the webhook, newest first')
    .argument('<source>', 'name or ID')
    .option('-n, --limit <count>', 'at most so many', parseCount, 50)
    .option('--json', 'for programs')
    .action(async (ref: string, options: { limit: number; json?: boolean }, command: Command) => {
      const { items } = await connect(command.optsWithGlobals<GlobalOptions>()).buildSources.deliveries(ref, { limit: Math.max(1, Math.min(options.limit, 200)) });
      if (options.json === true) printJson(items);
      else
        printTable(
          ['DELIVERY', 'RECEIVED', 'EVENT', 'REF', 'COMMIT', 'STATE', 'BUILD OR REASON'],
          items.map(({ id, receivedAt, event, ref: pushed, commit, state, buildId, reason }) => [id, shortTime(receivedAt), event, pushed ?? '-', commit?.slice(0, 7) ?? '-', state, buildId ?? reason ?? '-']),
        );
    });
}

function registerBuilds(source: Command): void {
  source
    .command('build')
    .summary('build a source now, without a push')
    .description('Its steps are shown on stderr as they go on; the ID of the image is written to stdout. Ctrl-C cancels it.')
    .argument('<source>', 'name or ID')
    .option('--branch <name>', 'by default that of the source')
    .option('--git-tag <name>', 'a tag instead of a branch')
    .option('--commit <sha>', '40 hex digits; without it, names with the commit are left out')
    .option('-q, --quiet', 'the ID alone')
    .addOption(progressOption())
    .action(async (ref: string, { branch, gitTag, commit, ...flags }: FollowFlags & { branch?: string; gitTag?: string; commit?: string }, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      const what: BuildNow = { ...(branch === undefined ? {} : { branch }), ...(gitTag === undefined ? {} : { tag: gitTag }), ...(commit === undefined ? {} : { commit }) };
      process.exitCode = await followBuild(client, (await client.buildSources.build(ref, what)).id, flags);
    });
}

function showSecret(made: CreatedBuildSource, url: string, { json }: { readonly json?: boolean }): void {
  if (json === true) {
    printJson({ ...made, webhookUrl: url + made.webhookPath });
    return;
  }
  process.stdout.write(`webhook ${url}${made.webhookPath}\nsecret  ${made.webhookSecret}\n`);
  process.stderr.write(`${made.name}: the secret is shown this once.\n`);
}

function rowOf({ name, git, on, tags, lastDeliveryAt, lastBuildId }: BuildSourceView): string[] {
  return [name, git.subdir === undefined ? git.url : `${git.url}:${git.subdir}`, 'branch' in on ? on.branch : `tag ${on.tag}`, tags.join(' '), shortTime(lastDeliveryAt), lastBuildId ?? '-'];
}
