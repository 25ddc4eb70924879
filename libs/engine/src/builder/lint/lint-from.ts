import { isCodedError, parseReference } from '#kernel';
import type { Dockerfile } from '../dockerfile/dockerfile.js';
import type { From } from '../dockerfile/instructions.js';
import { didYouMean } from '../dockerfile/suggest.js';
import { expandWord } from '../words/expand.js';
import { splitWords } from '../words/words.js';
import { keywordOf, type Warn } from './lint-warning.js';

/** What a FROM line alone says, with the arguments before the first stage as they are when nobody gives others. */
export function lintFrom(from: From, { metaArgs, directives }: Dockerfile, platformArgs: ReadonlyMap<string, string>, warn: Warn): void {
  lintWords(from, directives.escape, warn);
  const defaults = new Map(platformArgs);
  const expanded = (word: string, onUndefined?: (name: string) => void): string | undefined => {
    try {
      return expandWord(word, { escape: directives.escape, variables: (name) => defaults.get(name), ...(onUndefined === undefined ? {} : { onUndefined }) });
    } catch (error) {
      // Told by the plan, if it counts.
      if (isCodedError(error)) return undefined;
      throw error;
    }
  };
  const declared = new Set(platformArgs.keys());
  for (const { key, value } of metaArgs.flatMap(({ args }) => args)) {
    declared.add(key);
    const result = value === undefined ? undefined : expanded(value);
    if (result !== undefined) defaults.set(key, result);
  }
  for (const word of [from.image, from.platform ?? '']) {
    expanded(word, (name) => {
      if (!declared.has(name)) warn('UndefinedArgInFrom', from.place, `FROM argument '${name}' is not declared${didYouMean(name, [...declared])}`);
    });
  }
  const image = expanded(from.image);
  if (from.image.includes('$') && image !== undefined && !isName(image)) warn('InvalidDefaultArgInFrom', from.place, `Default value for ARG ${from.image} results in empty or invalid base image name`);
  lintPlatform(from, platformArgs, warn);
}

function lintWords(from: From, escape: '\\' | '`', warn: Warn): void {
  const words = splitWords(from.text, escape).map(({ text }) => text);
  const [as, name] = words.slice(-2);
  if (from.stageName === undefined || as === undefined || name === undefined) return;
  if (name !== from.stageName) warn('StageNameCasing', from.place, `Stage name '${name}' should be lowercase`);
  const keyword = keywordOf(from);
  const same = keyword === keyword.toLowerCase() ? as.toLowerCase() : as.toUpperCase();
  if (as !== same) warn('FromAsCasing', from.place, `'${as}' and '${keyword}' keywords' casing do not match`);
}

function lintPlatform({ platform, stageName, place }: From, platformArgs: ReadonlyMap<string, string>, warn: Warn): void {
  if (platform === undefined) return;
  if (/^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/.test(platform)) warn('RedundantTargetPlatform', place, `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`);
  // A stage that is named after its platform is one for each.
  const named = platform.split('/').some((word) => word === stageName) || platform.replaceAll('/', '-') === stageName;
  if (!platform.includes('$') && !named && platformArgs.size > 0) warn('FromPlatformFlagConstDisallowed', place, `FROM --platform flag should not use constant value "${platform}"`);
}

function isName(text: string): boolean {
  if (text === 'scratch') return true;
  try {
    parseReference(text);
    return true;
  } catch (error) {
    if (isCodedError(error)) return false;
    throw error;
  }
}
