import { jest } from '@jest/globals';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKOUT, runCommand, startPlatform, type Platform } from '#testing';

jest.setTimeout(120_000);

interface Step {
  readonly command: string;
  readonly expected: string;
}

let readme: string;
let platform: Platform;
/** Commands leave files behind: they work in a folder that shows the checkout's own. */
let folder: string;

beforeAll(async () => {
  readme = await readFile(join(CHECKOUT, 'README.md'), 'utf8');
  platform = await startPlatform();
  folder = await mkdtemp(join(tmpdir(), 'readme-'));
  for (const name of ['examples', 'node_modules']) await symlink(join(CHECKOUT, name), join(folder, name));
});
afterAll(async () => {
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
});

it('shows the example as it is', async () => {
  expect(readme).toContain(`\`\`\`js\n${await readFile(join(CHECKOUT, 'examples', 'logs.mjs'), 'utf8')}\`\`\``);
});

it('works as printed, command by command', async () => {
  const transcripts = [...readme.matchAll(/<!-- transcript -->\n```console\n([\s\S]*?)```/g)].map((match) => steps(match[1]!));
  expect(transcripts.length).toBe(5);
  for (const transcript of transcripts) {
    const outputs = await play(transcript);
    for (const [index, { command, expected }] of transcript.entries()) {
      expect({ command, output: outputs[index]?.trimEnd() }).toEqual({ command, output: expect.stringMatching(pattern(expected.trimEnd())) });
    }
  }
});

function steps(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => ({ command: text.split('\n')[0]!, expected: text.split('\n').slice(1).join('\n') }));
}

const MARK = 'end-of-step-2b7e';

/** All commands of a transcript in one shell, at this platform's address and over its data. */
async function play(transcript: readonly Step[]): Promise<string[]> {
  const script = transcript.map(({ command }) => `${command}\necho ${MARK}`).join('\n').replaceAll('localhost:8080', `127.0.0.1:${platform.port}`).replaceAll('/var/lib/sandbar', platform.dataDir);
  const PATH = `${join(CHECKOUT, 'node_modules', '.bin')}:${process.env.PATH}`;
  const { stdout } = await runCommand(['bash', '-c', `exec 2>&1\n${script.replaceAll('npx sandbar', 'sandbar')}`], { cwd: folder, env: { PATH, SANDBAR_DATA_DIR: platform.dataDir } });
  return stdout.split(`${MARK}\n`);
}

/** `…` in the printed output stands for anything. */
function pattern(expected: string): RegExp {
  return new RegExp(`^${expected.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\s\\S]*')}$`);
}
