import { isCodedError } from '#kernel';
import { parseDockerfile } from '../dockerfile/dockerfile.js';
import { DeclaredArguments, platformArguments } from './build-arguments.js';
import { planStages, type StageGraph } from './stage-graph.js';
import { StageState } from './stage-state.js';
import type { BuildConfig, Step } from './steps.js';

const HERE = { os: 'linux', architecture: 'amd64' };
const platformArgs = platformArguments(HERE, HERE);

function graphOf(text: string, options: { readonly target?: string; readonly buildArgs?: Record<string, string> } = {}): StageGraph {
  return planStages(parseDockerfile(text), { ...(options.target === undefined ? {} : { target: options.target }), buildArgs: new Map(Object.entries(options.buildArgs ?? {})), platformArgs });
}

/** The steps of the last stage, on an image with the given config. */
function stepsOf(text: string, config: BuildConfig = {}, buildArgs: Record<string, string> = {}): Step[] {
  const { target, metaArguments } = graphOf(text, { buildArgs });
  const args = new DeclaredArguments(new Map(Object.entries(buildArgs)), new Map([...platformArgs, ...metaArguments]));
  const state = new StageState({ config, author: '', args, escape: '\\' });
  return target.stage.instructions.flatMap((instruction) => state.step(instruction) ?? []);
}

const last = (steps: readonly Step[]): Step => steps.at(-1) ?? fail();
const fail = (): never => {
  throw new Error('no step');
};
const codeOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return isCodedError(error) ? error.message : error;
  }
};

describe('the graph of stages', () => {
  const TEXT = 'ARG TAG=1\nFROM debian:${TAG} AS base\nFROM base AS left\nFROM busybox AS right\nCOPY --from=base /x /x\nFROM scratch AS unused\nFROM left\nCOPY --from=2 /x /y\nCOPY --from=other/image /z /z\nRUN --mount=type=bind,from=right,target=/m true\n';

  it('holds what the target needs, and nothing else', () => {
    const graph = graphOf(TEXT);
    expect(graph.stages.map(({ index, base, needs }) => ({ index, base, needs }))).toEqual([
      { index: 0, base: { kind: 'image', name: 'debian:1' }, needs: [] },
      { index: 1, base: { kind: 'stage', index: 0 }, needs: [0] },
      { index: 2, base: { kind: 'image', name: 'busybox' }, needs: [0] },
      { index: 4, base: { kind: 'stage', index: 1 }, needs: [1, 2] },
    ]);
    expect(graphOf(TEXT, { target: 'LEFT' }).stages.map(({ index }) => index)).toEqual([0, 1]);
    expect(graphOf(TEXT, { target: '3' }).target.name).toBe('unused');
  });

  it('takes the later one of two stages of one name', () => {
    const text = 'FROM a AS x\nFROM x AS X\nFROM scratch\nCOPY --from=x /a /a\n';
    expect(graphOf(text).target.needs).toEqual([1]);
    expect(graphOf(text, { target: 'x' }).target.index).toBe(1);
  });

  it('puts arguments into FROM lines: given ones, defaults, the platform', () => {
    expect(graphOf('ARG A=x\nARG B=$A-y\nFROM $B:$TARGETARCH', { buildArgs: { A: 'given' } }).target.base).toEqual({ kind: 'image', name: 'given-y:amd64' });
  });

  it.each([
    ['FROM a\nFROM b', { target: 'c' }, 'target stage "c" could not be found'],
    ['ARG X\nFROM $X', {}, 'dockerfile parse error on line 2, column 1: base name ($X) should not be blank'],
    ['FROM ${A:?needed}', {}, 'dockerfile parse error on line 1, column 1: A: needed'],
  ])('refuses %j', (text, options, message) => {
    expect(codeOf(() => graphOf(text, options))).toBe(message);
  });
});

describe('what instructions make of a config', () => {
  it.each<[string, string, BuildConfig, Partial<BuildConfig>]>([
    ['ENV, by what stood before the line', 'ENV a=1\nENV a=2 b=$a', {}, { Env: ['a=2', 'b=1'] }],
    ['ENV, in the place of the base', 'ENV PATH=/x:$PATH', { Env: ['PATH=/bin', 'Z=1'] }, { Env: ['PATH=/x:/bin', 'Z=1'] }],
    ['LABEL', 'LABEL a="b c" d=e', { Labels: { a: 'old', z: 'z' } }, { Labels: { a: 'b c', d: 'e', z: 'z' } }],
    ['EXPOSE', 'ENV P=90\nEXPOSE 80 $P/UDP 7000-7002', {}, { ExposedPorts: { '80/tcp': {}, '90/udp': {}, '7000/tcp': {}, '7001/tcp': {}, '7002/tcp': {} } }],
    ['VOLUME', 'ENV D=/d\nVOLUME /a $D', {}, { Volumes: { '/a': {}, '/d': {} } }],
    ['WORKDIR, relative to the last', 'WORKDIR /a\nWORKDIR b\nWORKDIR ../c', {}, { WorkingDir: '/a/c' }],
    ['CMD as a line, by the shell', 'SHELL ["/bin/bash", "-c"]\nCMD a | b', {}, { Cmd: ['/bin/bash', '-c', 'a | b'] }],
    ['ENTRYPOINT, without the CMD of the base', 'ENTRYPOINT ["e"]', { Cmd: ['c'] }, { Entrypoint: ['e'] }],
    ['ENTRYPOINT, with a CMD of its own', 'CMD ["c"]\nENTRYPOINT ["e"]', { Cmd: ['old'] }, { Cmd: ['c'], Entrypoint: ['e'] }],
    ['ONBUILD', 'ONBUILD RUN make', {}, { OnBuild: ['RUN make'] }],
    ['HEALTHCHECK', 'HEALTHCHECK --interval=5s --retries=2 CMD true', {}, { Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5e9, Retries: 2 } }],
    ['USER and STOPSIGNAL', 'ARG U=www\nUSER $U\nSTOPSIGNAL SIGINT', {}, { User: 'www', StopSignal: 'SIGINT' }],
  ])('%s', (_what, text, base, expected) => {
    const { config } = last(stepsOf(`FROM x\n${text}`, base));
    expect(config).toMatchObject(expected);
    if (text.startsWith('ENTRYPOINT')) expect(config).not.toHaveProperty('Cmd');
  });

  it('gives a RUN the declared arguments but for what the environment says, and tells them in the history', () => {
    const step = last(stepsOf('ARG M=meta\nFROM x\nARG A=1\nARG B\nARG C=3\nARG M\nENV C=env\nRUN echo $A', { Env: ['PATH=/bin'] }, { B: 'given', HTTP_PROXY: 'p', OTHER: 'o' }));
    expect(step).toMatchObject({ kind: 'run', argv: ['/bin/sh', '-c', 'echo $A'], env: ['A=1', 'B=given', 'M=meta', 'PATH=/bin', 'C=env'], proxyEnv: ['HTTP_PROXY=p'], createdBy: '|3 A=1 B=given M=meta /bin/sh -c echo $A' });
  });

  it.each([
    ['RUN <<EOF\na\nb\nEOF', ['/bin/sh', '-c', 'a\nb\n'], undefined],
    ['RUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF', ['EOF'], '#!/usr/bin/env python3\nprint(1)\n'],
    ['RUN cat <<EOF > /x\na $b\nEOF', ['/bin/sh', '-c', 'cat <<EOF > /x\na $b\nEOF'], undefined],
  ])('runs %j', (text, argv, script) => {
    expect(last(stepsOf(`FROM x\n${text}`))).toMatchObject({ kind: 'run', argv, script });
  });

  it('resolves where a COPY goes, and puts variables into documents', () => {
    expect(last(stepsOf('FROM x\nWORKDIR /w\nENV D=sub\nCOPY --chown=1:2 --chmod=0640 a $D/'))).toMatchObject({ sources: ['a'], destination: '/w/sub/', chown: '1:2', chmod: 0o640 });
    expect(last(stepsOf('FROM x\nENV V=v\nCOPY <<a <<"b" .\n$V\na\n$V\nb'))).toMatchObject({ destination: '/', documents: [{ name: 'a', content: 'v\n' }, { name: 'b', content: '$V\n' }] });
  });

  it.each([
    ['EXPOSE 70000', 'dockerfile parse error on line 2, column 1: invalid containerPort: 70000'],
    ['USER $NOBODY', 'dockerfile parse error on line 2, column 1: USER needs a name'],
    ['COPY --chmod=u+x a b', "dockerfile parse error on line 2, column 1: invalid chmod parameter: 'u+x'. it should be octal string and between 0 and 07777"],
    ['ENV A=${B:?missing}', 'dockerfile parse error on line 2, column 1: B: missing'],
  ])('refuses %s', (text, message) => {
    expect(codeOf(() => stepsOf(`FROM x\n${text}`))).toBe(message);
  });
});
