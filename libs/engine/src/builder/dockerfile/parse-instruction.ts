import { execForm } from '../words/exec-form.js';
import { plainWords } from '../words/words.js';
import type { Expose, From, Instruction, InstructionName, Maintainer, Onbuild, StopSignal, User, Volume, Workdir } from './instructions.js';
import { INSTRUCTIONS } from './instructions.js';
import type { LogicalLine } from './logical-lines.js';
import { parseCommand, parseHealthCheck, parseRun, parseShell } from './parse-commands.js';
import { parseCopy } from './parse-copy.js';
import { head, parseArg, parseEnv, parseLabel } from './parse-pairs.js';
import { fault } from './place.js';
import { Statement } from './statement.js';
import { didYouMean } from './suggest.js';

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

/** @throws CodedError `invalid_argument` with its place */
export function parseInstruction(line: LogicalLine, escape: '\\' | '`'): Instruction {
  return parseStatement(new Statement(nameOf(line, 0), line, wordEnd(line.text, 0), escape));
}

function nameOf(line: LogicalLine, from: number): InstructionName {
  const word = line.text.slice(from, wordEnd(line.text, from));
  const name = INSTRUCTIONS.find((each) => each === word.toUpperCase());
  if (name === undefined) throw fault(line.placeOf(from), `unknown instruction: ${word.slice(0, 100)}${didYouMean(word.toUpperCase(), INSTRUCTIONS)}`);
  return name;
}

function wordEnd(text: string, from: number): number {
  const space = text.slice(from).search(/\s/);
  return space < 0 ? text.length : from + space;
}

function parseStatement(statement: Statement): Instruction {
  switch (statement.name) {
    case 'FROM':
      return parseFrom(statement);
    case 'ARG':
      return parseArg(statement);
    case 'ENV':
      return parseEnv(statement);
    case 'LABEL':
      return parseLabel(statement);
    case 'RUN':
      return parseRun(statement);
    case 'CMD':
    case 'ENTRYPOINT':
      return parseCommand(statement, statement.name);
    case 'COPY':
    case 'ADD':
      return parseCopy(statement, statement.name);
    case 'EXPOSE':
      return parseExpose(statement);
    case 'VOLUME':
      return parseVolume(statement);
    case 'USER':
      return parseUser(statement);
    case 'WORKDIR':
      return parseWorkdir(statement);
    case 'ONBUILD':
      return parseOnbuild(statement);
    case 'STOPSIGNAL':
      return parseStopSignal(statement);
    case 'HEALTHCHECK':
      return parseHealthCheck(statement);
    case 'SHELL':
      return parseShell(statement);
    case 'MAINTAINER':
      return parseMaintainer(statement);
  }
}

function parseFrom(statement: Statement): From {
  statement.expectFlags(['platform']);
  const [image, as, name, ...more] = statement.words();
  if (image === undefined || more.length > 0 || (as !== undefined && (name === undefined || as.text.toUpperCase() !== 'AS'))) {
    throw statement.refuse('FROM requires either one or three arguments', as?.at ?? 0);
  }
  const stageName = name?.text.toLowerCase();
  if (stageName !== undefined && name !== undefined && !STAGE_NAME.test(stageName)) {
    throw statement.refuse(`invalid name for build stage: ${JSON.stringify(name.text.slice(0, 100))}, name can't start with a number or contain symbols`, name.at);
  }
  return { kind: 'FROM', ...head(statement), image: image.text, stageName, platform: statement.flag('platform') };
}

function parseExpose(statement: Statement): Expose {
  statement.expectFlags([]);
  statement.requireArguments();
  return { kind: 'EXPOSE', ...head(statement), ports: statement.words().map(({ text }) => text) };
}

function parseVolume(statement: Statement): Volume {
  statement.expectFlags([]);
  statement.requireArguments();
  const paths = execForm(statement.rest) ?? plainWords(statement.rest).map(({ text }) => text);
  if (paths.length === 0 || paths.some((path) => path.trim() === '')) throw statement.refuse('VOLUME specified can not be an empty string');
  return { kind: 'VOLUME', ...head(statement), paths };
}

function parseUser(statement: Statement): User {
  statement.expectFlags([]);
  statement.requireArguments();
  return { kind: 'USER', ...head(statement), user: statement.requireOne() };
}

/** All that is left of the line: paths with spaces need no quotes. */
function parseWorkdir(statement: Statement): Workdir {
  statement.expectFlags([]);
  statement.requireArguments();
  return { kind: 'WORKDIR', ...head(statement), path: statement.rest };
}

function parseStopSignal(statement: Statement): StopSignal {
  statement.expectFlags([]);
  statement.requireArguments();
  return { kind: 'STOPSIGNAL', ...head(statement), signal: statement.requireOne() };
}

function parseMaintainer(statement: Statement): Maintainer {
  statement.expectFlags([]);
  statement.requireArguments();
  return { kind: 'MAINTAINER', ...head(statement), name: statement.rest };
}

/** The trigger is read now, so that a fault in it is told here and not to whoever builds on the image. */
function parseOnbuild(statement: Statement): Onbuild {
  statement.expectFlags([]);
  statement.requireArguments();
  const { rest, heredocs } = statement;
  const line: LogicalLine = { text: rest, heredocs, comment: undefined, endLine: 0, placeOf: (at) => statement.placeOf(at) };
  const name = nameOf(line, 0);
  if (name === 'ONBUILD') throw statement.refuse("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (name === 'FROM' || name === 'MAINTAINER') throw statement.refuse(`${name} isn't allowed as an ONBUILD trigger`);
  parseInstruction(line, statement.escape);
  const documents = heredocs.map(({ content, name: end }) => `\n${content}${end}`).join('');
  return { kind: 'ONBUILD', ...head(statement), trigger: `${rest}${documents}` };
}
