import { randomInt } from 'node:crypto';
import { CodedError } from '#kernel';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const MAX_NAME = 255;
const TRIES = 20;

const ADJECTIVES =
  'agile amber ample bold brave breezy bright brisk calm candid cheery clear clever cosmic crisp curious daring deft eager early earnest fabled fair fleet fond frank gentle gifted glad golden graceful hardy hearty humble jolly keen kind lively loyal lucid mellow merry mighty modest nimble noble patient placid polite proud quick quiet ready serene sharp silent snug steady sunny swift tidy vivid'.split(
    ' ',
  );
const SURNAMES =
  'abel archimedes babbage bell bohr boole born bose cantor carson chandra curie darwin descartes dijkstra dirac euclid euler faraday fermat fermi feynman fourier franklin galileo galois gauss germain goodall hamilton hawking heisenberg hopper hubble hypatia johnson kepler knuth lamarr laplace leibniz linnaeus lovelace maxwell meitner mendel newton noether pascal pasteur planck ramanujan ritchie sagan shannon tesla turing volta wiles wright'.split(
    ' ',
  );

/** As clients write it, with or without the slash. @throws CodedError `invalid_argument` */
export function parseContainerName(text: string): string {
  const name = text.startsWith('/') ? text.slice(1) : text;
  if (NAME.test(name) && name.length <= MAX_NAME) return name;
  throw new CodedError('invalid_argument', `Invalid container name (${text.slice(0, MAX_NAME)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
}

/** As `brisk_noether`; with a digit when chance finds no free one. */
export function randomContainerName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt += 1) {
    const plain = `${ADJECTIVES[randomInt(ADJECTIVES.length)] ?? 'bold'}_${SURNAMES[randomInt(SURNAMES.length)] ?? 'turing'}`;
    const name = attempt < TRIES ? plain : `${plain}${randomInt(10 ** Math.min(9, attempt - TRIES + 1))}`;
    if (!taken(name)) return name;
  }
}

export function nameConflict(name: string, owner: string): CodedError {
  return new CodedError('conflict', `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`);
}

interface Named {
  readonly id: string;
  readonly name: string;
}

/** By ID, name, or a prefix of the ID that only one has; in that order. @throws CodedError `not_found`, `invalid_argument` (ambiguous) */
export function findContainer<T extends Named>(all: Iterable<T>, text: string): T {
  const name = text.startsWith('/') ? text.slice(1) : text;
  const candidates: T[] = [];
  let named: T | undefined;
  for (const each of all) {
    if (each.id === text) return each;
    if (each.name === name) named = each;
    if (text !== '' && each.id.startsWith(text)) candidates.push(each);
  }
  if (named !== undefined) return named;
  const [only, other] = candidates;
  if (only === undefined) throw new CodedError('not_found', `No such container: ${text.slice(0, MAX_NAME)}`);
  if (other !== undefined) throw new CodedError('invalid_argument', `multiple IDs found with provided prefix: ${text}`);
  return only;
}
