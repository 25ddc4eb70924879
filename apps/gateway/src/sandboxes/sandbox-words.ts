import { CodedError, isCodedError } from '#kernel';

/** The engine speaks in the words of Docker, whose clients read them. On REST a container is a sandbox. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^Conflict\. The container name "\/?([^"]*)" is already in use by container "([0-9a-f]+)"\..*$/, 'the name "$1" is taken by the sandbox $2'],
  [/^.*unable to start container process: (.*?)(?:: unknown)?$/, 'the command cannot be executed: $1'],
  [/^No such container: /, 'no such sandbox: '],
  [/^cannot remove container "\/?([^"]*)": .*$/, 'the sandbox "$1" is running: stop it before, or remove it with force'],
  [/\bcontainer "\/([^"]*)"/g, 'sandbox "$1"'],
  [/\bcontainers\b/g, 'sandboxes'],
  [/\bContainer\b/g, 'Sandbox'],
  [/\bcontainer\b/g, 'sandbox'],
];

export function sandboxWords(text: string): string {
  return WORDS.reduce((message, [pattern, words]) => message.replace(pattern, words), text);
}

/** What the host refuses, told of sandboxes. */
export async function inSandboxWords<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isCodedError(error)) throw error;
    throw new CodedError(error.code, sandboxWords(error.message), error.details, { cause: error });
  }
}
