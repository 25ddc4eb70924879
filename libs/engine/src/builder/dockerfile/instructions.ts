import type { Heredoc } from './heredocs.js';
import type { Place } from './place.js';

/** One instruction, its words as they were written: variables are put in by the plan, which knows what they stand for. */
export type Instruction = From | Arg | Env | Label | Run | Command | Copy | Expose | Volume | User | Workdir | Onbuild | StopSignal | HealthCheckInstruction | Shell | Maintainer;

interface Common {
  readonly place: Place;
  /** As written, continued lines joined: what `history` and progress show. */
  readonly text: string;
}

export interface From extends Common {
  readonly kind: 'FROM';
  readonly image: string;
  /** In lower case. */
  readonly stageName: string | undefined;
  readonly platform: string | undefined;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

export interface Arg extends Common {
  readonly kind: 'ARG';
  readonly args: readonly { readonly key: string; readonly value: string | undefined }[];
}

export interface Env extends Common {
  readonly kind: 'ENV';
  readonly pairs: readonly KeyValue[];
}

export interface Label extends Common {
  readonly kind: 'LABEL';
  readonly pairs: readonly KeyValue[];
}

/** A line for the shell, or an argument vector. */
export type CommandLine = { readonly form: 'shell'; readonly line: string } | { readonly form: 'exec'; readonly argv: readonly string[] };

export interface RunMount {
  readonly type: 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';
  readonly target: string | undefined;
  readonly source: string | undefined;
  readonly from: string | undefined;
  readonly readOnly: boolean | undefined;
  readonly id: string | undefined;
  readonly sharing: 'shared' | 'private' | 'locked';
  readonly required: boolean;
  readonly sizeBytes: number | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Of a secret: the variable it is put in. */
  readonly env: string | undefined;
}

export interface Run extends Common {
  readonly kind: 'RUN';
  readonly command: CommandLine;
  readonly heredocs: readonly Heredoc[];
  readonly mounts: readonly RunMount[];
  readonly network: 'default' | 'none' | 'host';
}

export interface Command extends Common {
  readonly kind: 'CMD' | 'ENTRYPOINT';
  readonly command: CommandLine;
}

export interface Copy extends Common {
  readonly kind: 'COPY' | 'ADD';
  readonly sources: readonly string[];
  readonly destination: string;
  /** Sources that stand in the Dockerfile itself; their mark is no source. */
  readonly heredocs: readonly Heredoc[];
  readonly from: string | undefined;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** Of ADD. */
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean;
  readonly unpack: boolean | undefined;
}

export interface Expose extends Common {
  readonly kind: 'EXPOSE';
  readonly ports: readonly string[];
}

export interface Volume extends Common {
  readonly kind: 'VOLUME';
  readonly paths: readonly string[];
}

export interface User extends Common {
  readonly kind: 'USER';
  readonly user: string;
}

export interface Workdir extends Common {
  readonly kind: 'WORKDIR';
  readonly path: string;
}

export interface Onbuild extends Common {
  readonly kind: 'ONBUILD';
  /** For the image's config, as it was written. */
  readonly trigger: string;
}

export interface StopSignal extends Common {
  readonly kind: 'STOPSIGNAL';
  readonly signal: string;
}

export interface HealthCheckInstruction extends Common {
  readonly kind: 'HEALTHCHECK';
  /** `['NONE']`, `['CMD', …]`, `['CMD-SHELL', line]`. */
  readonly test: readonly string[];
  /** Milliseconds; undefined: the default. */
  readonly intervalMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly startPeriodMs: number | undefined;
  readonly startIntervalMs: number | undefined;
  readonly retries: number | undefined;
}

export interface Shell extends Common {
  readonly kind: 'SHELL';
  readonly argv: readonly string[];
}

export interface Maintainer extends Common {
  readonly kind: 'MAINTAINER';
  readonly name: string;
}

export const INSTRUCTIONS = ['ADD', 'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'HEALTHCHECK', 'LABEL', 'MAINTAINER', 'ONBUILD', 'RUN', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'] as const;
export type InstructionName = (typeof INSTRUCTIONS)[number];
