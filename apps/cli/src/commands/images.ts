import { familiarName, familiarRepository, parseReference } from '#kernel';
import type { ImageSummary, OperationProgress, OperationView } from '#contracts';
import type { SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { CliError } from '../failure.js';
import { formatSize } from '../quantities.js';
import { printJson, printTable, shortTime } from '../table.js';

const SHORT_ID = 12;

export function registerImages(program: Command): void {
  const image = program.command('image').summary('images').description("Images of your tenant's virtual host. Docker's client works too: see sandbar docker-context.");

  image
    .command('ls')
    .summary('list images')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const images = await connect(command.optsWithGlobals<GlobalOptions>()).images.list();
      if (options.json === true) printJson(images);
      else printTable(['REPOSITORY', 'TAG', 'IMAGE', 'CREATED', 'SIZE'], images.flatMap(rowsOf));
    });

  image
    .command('pull')
    .summary('fetch an image from a registry')
    .argument('<name>', 'such as busybox or 127.0.0.1:5000/team/app:v2')
    .action(async (name: string, _options: object, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      await follow(client, await client.images.pull(name));
    });

  image
    .command('push')
    .summary('send an image to the registry that its name says')
    .argument('<name>', 'such as 127.0.0.1:5000/team/app:v2')
    .action(async (name: string, _options: object, command: Command) => {
      const client = connect(command.optsWithGlobals<GlobalOptions>());
      await follow(client, await client.images.push(name));
    });

  image
    .command('rm')
    .summary('take a name away; with the last one, the image')
    .argument('<image...>', 'names or IDs')
    .option('-f, --force', 'although stopped containers use it')
    .action(async (refs: string[], options: { force?: boolean }, command: Command) => {
      const { images } = connect(command.optsWithGlobals<GlobalOptions>());
      for (const ref of refs) {
        for (const removal of await images.remove(ref, { force: options.force === true })) process.stdout.write(`${removal.kind} ${removal.kind === 'untagged' ? removal.name : removal.id}\n`);
      }
    });

  program
    .command('df')
    .summary('what images, containers and volumes take')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const usage = await connect(command.optsWithGlobals<GlobalOptions>()).volumes.diskUsage();
      if (options.json === true) {
        printJson(usage);
        return;
      }
      const sum = (sizes: readonly (number | null)[]): string => formatSize(sizes.reduce<number>((total, size) => total + (size ?? 0), 0));
      printTable(
        ['TYPE', 'COUNT', 'SIZE'],
        [
          ['images', String(usage.images.length), formatSize(usage.layersBytes)],
          ['containers', String(usage.containers.length), sum(usage.containers.map(({ writableBytes }) => writableBytes))],
          ['volumes', String(usage.volumes.length), sum(usage.volumes.map(({ sizeBytes }) => sizeBytes))],
          ...(usage.disk === null ? [] : [['disk', `of ${formatSize(usage.disk.totalBytes)}`, formatSize(usage.disk.usedBytes)]]),
        ],
      );
    });
}

/** One row a tag, as Docker's client has it. */
function rowsOf(image: ImageSummary): string[][] {
  const rest = [image.id.slice('sha256:'.length, 'sha256:'.length + SHORT_ID), shortTime(image.createdAt), formatSize(image.sizeBytes)];
  if (image.tags.length === 0) return [['<none>', '<none>', ...rest]];
  return image.tags.map((name) => {
    const reference = parseReference(name);
    return [familiarRepository(reference), reference.tag ?? '<none>', ...rest];
  });
}

async function follow(client: SandbarClient, { id, reference }: OperationView): Promise<void> {
  const said = new Map<string, string>();
  let ended = false;
  for await (const line of client.operations.follow(id)) {
    if (line.error !== undefined) throw new CliError(line.error.message);
    ended = line.end === true;
    const text = textOf(line);
    // Of a download, only its beginning and end: this is no terminal's full screen.
    const state = line.status ?? '';
    if (text === '' || (line.id !== undefined && said.get(line.id) === state)) continue;
    if (line.id !== undefined) said.set(line.id, state);
    process.stdout.write(`${text}\n`);
  }
  if (!ended) throw new CliError('the progress broke off; the transfer goes on');
  process.stdout.write(`${familiarName(parseReference(reference))}\n`);
}

function textOf({ id, status, total }: OperationProgress): string {
  if (status === undefined) return '';
  return `${id === undefined ? '' : `${id}: `}${status}${total === undefined ? '' : ` ${formatSize(total)}`}`;
}
