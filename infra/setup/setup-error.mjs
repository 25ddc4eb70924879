/** A failure that the person at the terminal can act on: what happened, the program's last words, how to mend it. */
export class SetupError extends Error {
  constructor(message, { output = '', mend = '', exitCode = 1, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SetupError';
    this.output = output;
    this.mend = mend;
    this.exitCode = exitCode;
  }
}

/** Prints a failure and gives the exit code that goes with it. */
export function printFailure(error, out = process.stderr) {
  if (!(error instanceof SetupError)) {
    out.write(`\nsandbar: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
  out.write(`\nsandbar: ${error.message}\n`);
  if (error.output) out.write(`${error.output.trimEnd().split('\n').map((line) => `  | ${line}`).join('\n')}\n`);
  if (error.mend) out.write(`${error.mend}\n`);
  return error.exitCode;
}
