import { pino, type DestinationStream, type LevelWithSilent, type Logger as PinoLogger } from 'pino';
import { currentLogContext } from './log-context.js';
import { redactSecrets, SECRET_PATHS } from './redaction.js';

export interface LoggerOptions {
  /** The app: `gateway`, `worker`. */
  readonly name: string;
  readonly level: LevelWithSilent;
  /** Default: stdout, one JSON object a line. */
  readonly destination?: DestinationStream;
}

/**
 * The root logger of an app. It satisfies the kernel's `Logger`. Lines carry the log context's ids; secrets are taken out twice:
 * by field name, and by form in the finished line, whoever put them there.
 */
export function createLogger(options: LoggerOptions): PinoLogger {
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => ({ ...currentLogContext() }),
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
      hooks: { streamWrite: redactSecrets },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  );
}
