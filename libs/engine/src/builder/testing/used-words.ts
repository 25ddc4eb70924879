import { parseDockerfile, type Instruction } from '../index.js';

/** Every instruction, form and flag that a Dockerfile may have here. */
export const ALL_WORDS: readonly string[] = [
  'ADD', 'ADD --checksum', 'ADD --chmod', 'ADD --chown', 'ADD --exclude', 'ADD --link', 'ADD --unpack', 'ARG', 'CMD exec', 'CMD shell', 'COPY', 'COPY --chmod', 'COPY --chown', 'COPY --exclude',
  'COPY --from', 'COPY --link', 'COPY --parents', 'COPY <<', 'ENTRYPOINT exec', 'ENTRYPOINT shell', 'ENV', 'EXPOSE', 'FROM', 'FROM AS', 'HEALTHCHECK CMD', 'HEALTHCHECK CMD-SHELL', 'HEALTHCHECK NONE', 'LABEL',
  'MAINTAINER', 'ONBUILD', 'RUN --mount=bind', 'RUN --mount=cache', 'RUN --mount=tmpfs', 'RUN --network=none', 'RUN <<', 'RUN exec', 'RUN shell', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR',
];

/** Which of them are used, sorted. */
export function wordsOfDockerfiles(texts: readonly string[]): string[] {
  const instructions = texts.flatMap((text) => parseDockerfile(text).stages.flatMap((stage): Instruction[] => [stage.from, ...stage.instructions]));
  return [...new Set(instructions.flatMap(wordsOf))].sort();
}

function wordsOf(instruction: Instruction): string[] {
  const { kind } = instruction;
  if (kind === 'FROM') return ['FROM', ...(instruction.stageName === undefined ? [] : ['FROM AS'])];
  if (kind === 'CMD' || kind === 'ENTRYPOINT') return [`${kind} ${instruction.command.form}`];
  if (kind === 'HEALTHCHECK') return [`HEALTHCHECK ${instruction.test[0] ?? ''}`];
  if (kind === 'RUN') {
    const { heredocs, command, mounts, network } = instruction;
    return [heredocs.length > 0 ? 'RUN <<' : `RUN ${command.form}`, ...mounts.map(({ type }) => `RUN --mount=${type}`), ...(network === 'none' ? ['RUN --network=none'] : [])];
  }
  if (kind !== 'COPY' && kind !== 'ADD') return [kind];
  const { heredocs, from, chown, chmod, link, parents, exclude, checksum, unpack } = instruction;
  const flags = { from, chown, chmod, link, parents, exclude: exclude.length > 0, checksum, unpack: unpack !== undefined };
  const given = Object.entries(flags).filter(([, value]) => value !== undefined && value !== false);
  return [kind, ...given.map(([name]) => `${kind} --${name}`), ...(heredocs.length > 0 ? [`${kind} <<`] : [])];
}
