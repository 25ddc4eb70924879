import type { ImageConfig } from '../../images/index.js';
import type { Copy, Run } from '../dockerfile/instructions.js';
import type { Heredoc } from '../dockerfile/heredocs.js';
import type { Place } from '../dockerfile/place.js';

export type BuildConfig = ImageConfig['config'];

/** What one instruction asks of the executor, everything in it expanded. `createdBy` is its line in the image's history. */
export type Step = ConfigStep | RunStep | CopyStep | WorkdirStep;

interface Common {
  /** As written, for progress. */
  readonly text: string;
  readonly place: Place;
  readonly createdBy: string;
  /** Of the image that the step makes. */
  readonly config: BuildConfig;
  readonly author: string;
}

/** Only the config changes: a row of the history without a layer. */
export interface ConfigStep extends Common {
  readonly kind: 'config';
}

/** A directory that is made when it is missing. */
export interface WorkdirStep extends Common {
  readonly kind: 'workdir';
  readonly path: string;
}

export interface RunStep extends Common {
  readonly kind: 'run';
  readonly argv: readonly string[];
  /** `NAME=value`: the config's and the declared arguments. */
  readonly env: readonly string[];
  /** Of the proxies: they take part in no key. */
  readonly proxyEnv: readonly string[];
  readonly mounts: Run['mounts'];
  readonly network: Run['network'];
  /** Documents that go in as files, beside those that are part of the command line. */
  readonly script: string | undefined;
}

export interface CopyStep extends Common {
  readonly kind: 'copy';
  readonly instruction: 'COPY' | 'ADD';
  readonly sources: readonly string[];
  readonly documents: readonly { readonly name: string; readonly content: string }[];
  /** Absolute; a slash at its end means a directory. */
  readonly destination: string;
  readonly chown: string | undefined;
  readonly chmod: number | undefined;
  readonly from: string | undefined;
  readonly flags: Pick<Copy, 'parents' | 'exclude' | 'checksum' | 'keepGitDir' | 'unpack' | 'link'>;
}

/** A document as the instruction wants it. */
export function documentOf({ content, expand }: Heredoc, expanded: (text: string) => string): string {
  return expand ? expanded(content) : content;
}
