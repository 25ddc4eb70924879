import { constants } from 'node:os';
import { CodedError } from '#kernel';

const REAL_TIME = /^RTM(?:IN(?:\+(\d+))?|AX(?:-(\d+))?)$/;
/** As glibc counts them: the first two belong to its threads. */
const RTMIN = 34;
const RTMAX = 64;
const BY_NAME = new Map<string, number>(Object.entries(constants.signals));

/** `9`, `KILL`, `sigkill`, `RTMIN+3`. @throws CodedError `invalid_argument`, in Docker's words */
export function parseSignal(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : numberOf(text.toUpperCase().replace(/^SIG/, ''));
  if (number === undefined || number < 1 || number > RTMAX) throw new CodedError('invalid_argument', `invalid signal: ${text.slice(0, 40)}`);
  return number;
}

function numberOf(name: string): number | undefined {
  const realTime = REAL_TIME.exec(name);
  if (realTime === null) return BY_NAME.get(`SIG${name}`);
  const number = name.startsWith('RTMIN') ? RTMIN + Number(realTime[1] ?? 0) : RTMAX - Number(realTime[2] ?? 0);
  return number >= RTMIN ? number : undefined;
}
