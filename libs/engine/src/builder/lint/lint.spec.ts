import { parseIgnoreFile } from '#kernel';
import { parseDockerfile } from '../dockerfile/dockerfile.js';
import { platformArguments } from '../stages/build-arguments.js';
import { lintPolicy, refuseWarnings } from './check-directive.js';
import { LINT_RULES } from './lint-warning.js';
import { lintDockerfile } from './lint.js';

const HERE = { os: 'linux', architecture: 'amd64' };

/** `line rule: message`. */
function linted(text: string, ignored = ''): string[] {
  const dockerfile = parseDockerfile(text);
  const policy = lintPolicy(dockerfile.directives.check);
  return lintDockerfile(dockerfile, { policy, ignore: parseIgnoreFile(ignored), platformArgs: platformArguments(HERE, HERE) }).map(({ rule, message, place }) => `${place.line} ${rule}: ${message}`);
}

describe('checks of Dockerfiles', () => {
  it.each([
    ['FROM a AS Base\n', "1 StageNameCasing: Stage name 'Base' should be lowercase"],
    ['FROM a as base\n', "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"],
    ['FROM a\nRUN a \\\n\n b\n', '3 NoEmptyContinuation: Empty continuation line'],
    ['FROM a\nRUN b\nrun c\n', "3 ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)"],
    ['from a\nrun b\nRun c\n', "3 ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (lowercase)"],
    ['FROM a AS x\nFROM b AS x\n', '2 DuplicateStageName: Duplicate stage name "x", stage names should be unique'],
    ['FROM a AS scratch\n', '1 ReservedStageName: Stage name should not use the same name as reserved stage "scratch"'],
    ['FROM a\nCMD run it\n', '2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals'],
    ['FROM a\nMAINTAINER me\n', '2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label'],
    ['FROM a\nCMD ["a"]\nCMD ["b"]\n', '2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used'],
    ['ARG VERSION=1\nFROM a:${VERSON:-2}$VERSION\nFROM b:1$VERSON\n', "3 UndefinedArgInFrom: FROM argument 'VERSON' is not declared (did you mean VERSION?)"],
    ['ARG TAG\nFROM a:$TAG\n', '2 InvalidDefaultArgInFrom: Default value for ARG a:$TAG results in empty or invalid base image name'],
    ['FROM a\nWORKDIR app\n', '2 WorkdirRelativePath: Relative workdir "app" can have unexpected results if the base image changes'],
    ['FROM a\nARG DB_PASSWORD\n', '2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "DB_PASSWORD")'],
    ['FROM a\nENV GIT_TOKEN=x\n', '2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "GIT_TOKEN")'],
    ['FROM a\nENV a b c\n', '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format'],
    ['FROM --platform=$TARGETPLATFORM a\n', '1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior'],
    ['FROM --platform=linux/amd64 a\n', '1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"'],
    ['FROM a\nEXPOSE 80/TCP\n', "2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"],
    ['FROM a\nEXPOSE 127.0.0.1:80:80\n', "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'"],
    ['# check=experimental=all\n\n# something else\nFROM a AS b\n', '4 InvalidDefinitionDescription: Comment for build stage'],
  ])('say of %j what is likely not meant', (text, expected) => {
    const found = linted(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
  });

  it('say which files of a COPY the context leaves out', () => {
    expect(linted('FROM a\nCOPY ./x.log b /\nCOPY --from=0 x.log /\nCOPY *.log /\nADD https://x/x.log /\n', '*.log\n')).toEqual(['2 CopyIgnoredFile: Attempting to COPY file "./x.log" that is excluded by .dockerignore']);
  });

  it.each([
    'FROM a\nSHELL ["bash"]\nCMD run it\n',
    'FROM a\nWORKDIR /x\nWORKDIR y\n',
    'FROM a AS x\nWORKDIR /x\nFROM x\nWORKDIR y\n',
    'FROM a\nENV PUBLIC_KEY=x\n',
    'FROM --platform=linux/amd64 a AS amd64\n',
    'FROM --platform=$BUILDPLATFORM a\n',
    'ARG A\nFROM ${A:-b}\n',
    'FROM a AS one\nCMD ["a"]\nFROM b\nCMD ["a"]\n',
    '# something else\nFROM a AS b\n',
    '# check=experimental=all\n\n# b is the base\nFROM a AS b\n\n# X is what\nARG X\n',
    '# check=skip=all\nFROM a as b\nMAINTAINER x\n',
    '# check=skip=maintainerdeprecated,FromAsCasing\nFROM a as b\nMAINTAINER x\n',
  ])('say nothing of %j', (text) => {
    expect(linted(text)).toEqual([]);
  });

  it('are failures where the file says so', () => {
    const policy = lintPolicy('skip=JSONArgsRecommended;error=true');
    const warnings = ['MaintainerDeprecated', 'FromAsCasing', 'FromAsCasing'].map((rule, line) => ({ rule: LINT_RULES.find((each) => each === rule) ?? 'UndefinedVar', message: '', place: { line: line + 3, column: 1 } }));
    expect(() => { refuseWarnings(warnings, policy); }).toThrow('dockerfile parse error on line 3, column 1: lint violation found for rules: FromAsCasing, MaintainerDeprecated');
    refuseWarnings(warnings, lintPolicy('skip=JSONArgsRecommended'));
    expect(() => lintPolicy('error=perhaps')).toThrow('invalid value "perhaps" of error');
    expect(() => lintPolicy('skipp=x')).toThrow('invalid check directive');
  });
});
