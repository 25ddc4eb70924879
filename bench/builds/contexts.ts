import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How many steps more the one Dockerfile of `true` steps has than the other. */
export const MORE_STEPS = 10;
export const LARGE = { files: 20_000, fileBytes: 10_000 };
const CACHED_STEPS = 20;

/** The folders that are built: a Dockerfile each, with what it takes. */
export interface Contexts {
  readonly oneTrue: string;
  readonly manyTrue: string;
  readonly cached: string;
  readonly large: string;
  /** The same as one tar. */
  readonly largeTar: string;
  readonly twoStages: string;
  readonly oneStage: string;
  readonly manySteps: string;
}

export function makeContexts(root: string): Contexts {
  const make = (name: string, lines: readonly string[]): string => {
    const folder = join(root, name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'Dockerfile'), `FROM bench\n${lines.join('\n')}\n`);
    return folder;
  };
  const trues = (count: number): string[] => Array.from({ length: count }, (_, index) => `RUN true ${String(index)}`);
  const contexts = {
    oneTrue: make('one-true', trues(1)),
    manyTrue: make('many-true', trues(1 + MORE_STEPS)),
    cached: make('cached', Array.from({ length: CACHED_STEPS }, (_, index) => [`RUN echo ${String(index)} > /f${String(index)}`, `COPY file /copied/${String(index)}`, `ENV N${String(index)}=1`, `WORKDIR /w${String(index)}`][index % 4] ?? '')),
    large: make('large', ['COPY 0/0 /one']),
    largeTar: join(root, 'large.tar'),
    twoStages: make('two-stages', [work('one'), 'FROM bench', work('two'), 'FROM bench', 'COPY --from=0 /one /', 'COPY --from=1 /two /']),
    oneStage: make('one-stage', [work('one')]),
    manySteps: make('many-steps', ['ENV A=1 B=2', 'WORKDIR /app', 'COPY src ./src', 'RUN for i in 1 2 3 4 5 6 7 8 9; do echo $i > file$i; done', 'RUN head -c 20000000 /dev/zero > large', 'COPY file .', 'RUN echo done > done', 'LABEL built=yes', 'USER 1000', 'CMD ["true"]']),
  };
  for (const folder of [contexts.cached, contexts.manySteps]) writeFileSync(join(folder, 'file'), 'file\n');
  mkdirSync(join(contexts.manySteps, 'src'));
  for (let index = 0; index < 200; index += 1) writeFileSync(join(contexts.manySteps, 'src', String(index)), randomBytes(5000));
  fillLarge(contexts.large);
  execFileSync('tar', ['-C', contexts.large, '-cf', contexts.largeTar, '.']);
  return contexts;
}

/** A second or so of one core. */
function work(name: string): string {
  return `RUN i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done; echo $i > /${name}`;
}

function fillLarge(folder: string): void {
  const bytes = randomBytes(LARGE.fileBytes + LARGE.files);
  for (let index = 0; index < LARGE.files; index += 1) {
    const below = join(folder, String(Math.floor(index / 200)));
    if (index % 200 === 0) mkdirSync(below);
    writeFileSync(join(below, String(index % 200)), bytes.subarray(index, index + LARGE.fileBytes));
  }
}
