import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { SandbarClient } from '#sdk';
import type { Command } from 'commander';
import { checkedUrl, loginFile, type GlobalOptions } from '../credentials.js';
import { CliError, EXIT } from '../failure.js';
import { readStdin } from '../run-request.js';

export function registerLogin(program: Command): void {
  program
    .command('login')
    .summary('keep a key for the next commands')
    .description('Checks an API key against the server and keeps both in ~/.config/sandbar/config.json, for this user only.')
    .option('--key-stdin', 'read the key from stdin instead of asking for it')
    .action(async (options: { keyStdin?: boolean }, command: Command) => {
      const given = command.optsWithGlobals<GlobalOptions>();
      const url = checkedUrl(given.url ?? process.env.SANDBAR_URL ?? 'http://127.0.0.1:8080');
      const apiKey = given.apiKey ?? (options.keyStdin === true ? (await readStdin()).toString('utf8').trim() : await askForKey(url));
      if (!/^\S{8,200}$/.test(apiKey)) throw new CliError('that is no API key', 'Keys begin with sbk_', EXIT.usage);
      const me = await new SandbarClient({ url, apiKey }).me();
      keep({ url, apiKey, scopes: me.scopes });
      process.stdout.write(`Logged in to ${url} as ${me.tenant?.name ?? 'the operator'} (${me.scopes.join(', ')}).\n`);
    });
}

async function askForKey(url: string): Promise<string> {
  if (!process.stdin.isTTY) throw new CliError('there is no terminal to ask for the key', 'Give it by stdin: sandbar login --key-stdin < file', EXIT.usage);
  process.stderr.write(`API key for ${url}: `);
  // What is typed is not shown.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => { done(); } });
  const reader = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return (await reader.question('')).trim();
  } finally {
    reader.close();
    process.stderr.write('\n');
  }
}

function keep(login: { url: string; apiKey: string; scopes: string[] }): void {
  const file = loginFile();
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const staged = `${file}.${process.pid}`;
  writeFileSync(staged, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(staged, file);
}
