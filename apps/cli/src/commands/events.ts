import type { HostEventFrame } from '#contracts';
import type { Command } from 'commander';
import { connect, type GlobalOptions } from '../credentials.js';
import { collect } from '../option-values.js';

interface EventOptions {
  readonly type?: HostEventFrame['type'][];
  readonly action?: string[];
  readonly subject?: string[];
  readonly after?: string;
  readonly json?: boolean;
}

export function registerEvents(program: Command): void {
  program
    .command('events')
    .summary('what happens on the virtual host, as it happens')
    .option('--type <type>', 'sandbox, image, volume, network or build (again for more)', collect)
    .option('--action <action>', 'such as start or exit (again for more)', collect)
    .option('--subject <name>', 'ID or name of what it happens to (again for more)', collect)
    .option('--after <id>', 'from behind this event on')
    .option('--json', 'for programs: one object a line')
    .action(async ({ type = [], action = [], subject = [], after, json }: EventOptions, command: Command) => {
      const { events } = connect(command.optsWithGlobals<GlobalOptions>());
      for await (const event of events.follow({ types: type, actions: action, subjects: subject, ...(after === undefined ? {} : { after }) })) {
        process.stdout.write(`${json === true ? JSON.stringify(event) : lineOf(event)}\n`);
      }
    });
}

function lineOf({ time, type, action, subject, attributes }: HostEventFrame): string {
  const { name = '' } = attributes;
  const rest = Object.entries(attributes).filter(([key]) => key !== 'name');
  return [time, type, action, name === '' ? subject.slice(0, 64) : name, ...rest.map(([key, value]) => `${key}=${value}`)].join(' ');
}
