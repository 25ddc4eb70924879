import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { isCodedError } from '#kernel';
import { gitSettings } from './drivers/git-settings.js';

/** Beside Git's own reader. */
describe("Git's settings", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'git-settings-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** undefined: refused. Older versions of Git make a space of each blank. */
  const ours = (text: string): string | undefined => {
    try {
      return [...gitSettings(Buffer.from(text))].map(({ section, key, value }) => `${section === '' ? '' : `${section}.`}${key}${value === undefined ? '' : `\n${value}`}\0`).join('').replaceAll(/[\t\r]/g, ' ');
    } catch (error) {
      if (!isCodedError(error, 'invalid_argument')) throw error;
      return undefined;
    }
  };
  const gits = (text: string): string | undefined => {
    writeFileSync(join(folder, 'config'), text);
    try {
      return execFileSync('git', ['config', '-f', join(folder, 'config'), '--list', '-z'], { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' }).replaceAll(/[\t\r]/g, ' ');
    } catch {
      return undefined;
    }
  };

  it.each([
    '[submodule "libs/Zlib"]\n\tpath = libs/Zlib\n\turl = ../zlib.git\n',
    '\ufeff[Submodule.Libs]\r\n  PATH=a b # c\r\n  Url = "a # b" ; c\r\n',
    '[submodule "a\\"b\\\\c\\d"] path = "x\\ty\\"z" w\n; comment\n# [x]\nalone\n',
    '[a]b=1\\\n2\\\n',
    '[a]b=one  two\t three   \n[c]\n[d "e"]f=\n',
    '[a]b="x',
    '[a]b=\\q\n',
    '[a "b]\nc=1\n',
    '[a]\n=3\n',
    '[a]b c\n',
    '[a"b"]c=1',
    '[a "b" ]c=1',
    '[]',
    '[ "x"]a=1',
    '1=2',
    '',
  ])('are read as by Git: %j', (text) => {
    expect(ours(text)).toEqual(gits(text));
  });

  it('are read as by Git, whatever stands where', () => {
    const word = fc.constantFrom('[submodule "', '"]', '[a.B]', '[a "b"]', 'path', 'Url', '=', ' = ', '"', '\\', '\\n', '\\"', '#', ';', ' ', '\n', '\r\n', '\r', 'x', '-', '7', 'é', ']', '[', '\n[a]\nb=');
    fc.assert(fc.property(fc.array(word, { maxLength: 24 }), (words) => {
      const text = words.join('');
      expect([text, ours(text)]).toEqual([text, gits(text)]);
    }), { numRuns: 300 });
  }, 60_000);

  it('say where they are none', () => {
    expect(() => [...gitSettings(Buffer.from('[a]\r\nb=1\n\n=3\n'))]).toThrow('bad config line 4');
    expect(() => [...gitSettings(Buffer.from('[a]\nb="1\n2"\n'))]).toThrow('bad config line 2');
    expect(() => [...gitSettings(Buffer.from('[a]\nb=\0\n'))]).toThrow('bad config line 2');
  });
});
