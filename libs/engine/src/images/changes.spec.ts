import { isCodedError } from '#kernel';
import { applyChanges } from './index.js';

type Config = Parameters<typeof applyChanges>[0];

describe('changes of commit and import', () => {
  it.each<[string, Config, string[], Config]>([
    ['CMD in exec form', {}, ['CMD ["a", "b c"]'], { Cmd: ['a', 'b c'] }],
    ['CMD in shell form', {}, ['CMD a "b" $c'], { Cmd: ['/bin/sh', '-c', 'a "b" $c'] }],
    ['CMD with a SHELL', { Shell: ['/bin/bash', '-ec'] }, ['CMD a'], { Shell: ['/bin/bash', '-ec'], Cmd: ['/bin/bash', '-ec', 'a'] }],
    ['CMD that is nearly JSON', {}, ["CMD ['a']"], { Cmd: ['/bin/sh', '-c', "['a']"] }],
    ['CMD of an empty list', { Cmd: ['x'] }, ['CMD []'], { Cmd: [] }],
    ['instructions in any case', {}, ['cmd a'], { Cmd: ['/bin/sh', '-c', 'a'] }],
    ['ENTRYPOINT, which clears CMD', { Cmd: ['x'] }, ['ENTRYPOINT ["e"]'], { Entrypoint: ['e'] }],
    ['ENTRYPOINT after a CMD of the same changes', { Cmd: ['x'] }, ['CMD ["c"]', 'ENTRYPOINT ["e"]'], { Cmd: ['c'], Entrypoint: ['e'] }],
    ['ENV, each pair in its place', { Env: ['A=1', 'B=2'] }, ['ENV B=3 C=4'], { Env: ['A=1', 'B=3', 'C=4'] }],
    ['ENV in quotes', {}, [`ENV A="b c" D='e $f' G=h\\ i J="k\\"l" M='n'o`], { Env: ['A=b c', 'D=e $f', 'G=h i', 'J=k"l', 'M=no'] }],
    ['ENV in the old form', {}, ['ENV A b  c=d'], { Env: ['A=b  c=d'] }],
    ['ENV with variables as they were before', { Env: ['A=1', 'PATH=/bin'] }, ['ENV A=2 B=$A C=${A}x D=${X:-y} E=${A:+z} F=\\$A PATH=$PATH:/b'], { Env: ['A=2', 'PATH=/bin:/b', 'B=1', 'C=1x', 'D=y', 'E=z', 'F=$A'] }],
    ['ENV with an empty value', {}, ['ENV A='], { Env: ['A='] }],
    ['LABEL', { Labels: { a: '1' } }, ['LABEL "b.c"="d e" a=2', 'LABEL f g h'], { Labels: { a: '2', 'b.c': 'd e', f: 'g h' } }],
    ['a LABEL that every object has', {}, ['LABEL __proto__=x'], { Labels: Object.fromEntries([['__proto__', 'x']]) }],
    ['EXPOSE', { ExposedPorts: { '1/tcp': {} } }, ['EXPOSE 80 53/udp 90-91/TCP'], { ExposedPorts: { '1/tcp': {}, '80/tcp': {}, '53/udp': {}, '90/tcp': {}, '91/tcp': {} } }],
    ['VOLUME', {}, ['VOLUME /a /b', 'VOLUME ["/c d"]'], { Volumes: { '/a': {}, '/b': {}, '/c d': {} } }],
    ['USER', {}, ['USER 1000:1000'], { User: '1000:1000' }],
    ['WORKDIR, relative to the one before', { WorkingDir: '/a' }, ['WORKDIR b', 'WORKDIR ../c'], { WorkingDir: '/a/c' }],
    ['STOPSIGNAL', {}, ['STOPSIGNAL SIGINT'], { StopSignal: 'SIGINT' }],
    ['ONBUILD', { OnBuild: ['RUN a'] }, ['ONBUILD COPY b c'], { OnBuild: ['RUN a', 'COPY b c'] }],
    ['HEALTHCHECK', {}, ['HEALTHCHECK --interval=1m30s --timeout=500ms --retries=2 CMD curl -f x || exit 1'], { Healthcheck: { Test: ['CMD-SHELL', 'curl -f x || exit 1'], Interval: 90e9, Timeout: 5e8, Retries: 2 } }],
    ['HEALTHCHECK in exec form', {}, ['HEALTHCHECK CMD ["a","b"]'], { Healthcheck: { Test: ['CMD', 'a', 'b'] } }],
    ['no HEALTHCHECK', {}, ['HEALTHCHECK NONE'], { Healthcheck: { Test: ['NONE'] } }],
    ['lines, comments and what goes on', {}, ['# x\nENV A=1 \\\n  B=2\nUSER u'], { Env: ['A=1', 'B=2'], User: 'u' }],
    ['nothing', { Cmd: ['x'] }, [], { Cmd: ['x'] }],
  ])('carry out %s', (_what, config, changes, expected) => {
    expect(applyChanges(config, changes)).toEqual(expected);
  });

  it.each([
    ['RUN x', 'RUN is not a valid change command'],
    ['FROM scratch', 'FROM is not a valid change command'],
    ['constructor x', 'constructor is not a valid change command'],
    ['CMD', 'CMD requires at least one argument'],
    ['ENV a', 'ENV must have two arguments'],
    ['ENV a=b c', `Syntax error - can't find = in "c". Must be of the form: name=value`],
    ['ENV =b', 'ENV names can not be blank'],
    ['ENV a="b', 'unexpected end of statement while looking for matching double-quote'],
    ["LABEL a='b", 'unexpected end of statement while looking for matching single-quote'],
    ['ENV a=${b', `syntax error: missing '}' in "\${b"`],
    ['ENV a=${b:?c}', 'unsupported modifier (?) in substitution'],
    ['EXPOSE x', 'invalid containerPort: x'],
    ['EXPOSE 70000', 'invalid containerPort: 70000'],
    ['EXPOSE 9-8', 'invalid containerPort: 9-8'],
    ['EXPOSE 80/icmp', 'invalid proto: icmp'],
    ['VOLUME [""]', 'VOLUME specified can not be an empty string'],
    ['USER a b', 'USER requires exactly one argument'],
    ['STOPSIGNAL SIGNOTHING', 'invalid signal: SIGNOTHING'],
    ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['ONBUILD from x', "FROM isn't allowed as an ONBUILD trigger"],
    ['HEALTHCHECK RUN x', 'Unknown type "RUN" in HEALTHCHECK (try CMD)'],
    ['HEALTHCHECK NONE x', 'HEALTHCHECK NONE takes no arguments'],
    ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
    ['HEALTHCHECK --interval=soon CMD x', 'time: invalid duration "soon"'],
    ['HEALTHCHECK --interval=1us CMD x', 'Interval "interval" cannot be less than 1ms'],
    ['HEALTHCHECK --color=red CMD x', 'unknown flag: color'],
  ])('refuse %s', (change, message) => {
    let thrown: unknown;
    try {
      applyChanges({}, [change]);
    } catch (error) {
      thrown = error;
    }
    expect(isCodedError(thrown, 'invalid_argument') && thrown.message).toBe(message);
  });

  it('are all or nothing', () => {
    expect(() => applyChanges({}, ['USER a', 'RUN x'])).toThrow('RUN is not a valid change command');
  });
});
