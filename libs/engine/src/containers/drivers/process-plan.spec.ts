import { CodedError } from '#kernel';
import type { CreateContainer } from '../containers.js';
import { resolveUser } from './guest-accounts.js';
import { planProcess, processEnv, startFailure } from './process-plan.js';

function request(process: Partial<CreateContainer['process']> = {}): CreateContainer {
  return {
    image: 'x',
    process: { entrypoint: null, cmd: null, env: [], workingDir: '', user: '', tty: false, openStdin: false, ...process },
    labels: { b: '2' },
    mounts: [],
    volumesFrom: [],
    limits: {},
    capabilities: { add: [], drop: [], privileged: false },
    readOnlyRootfs: false,
    autoRemove: false,
    clientConfig: {},
  };
}

describe('the process of a container', () => {
  it.each<[string[] | null, string[] | null, string[] | undefined, string[] | undefined, string[]]>([
    [null, null, ['e'], ['c'], ['e', 'c']],
    [null, ['x'], ['e'], ['c'], ['e', 'x']],
    [['n'], null, ['e'], ['c'], ['n']],
    [['n'], ['x'], ['e'], ['c'], ['n', 'x']],
    [[''], ['x'], ['e'], ['c'], ['x']],
    [null, null, undefined, ['c', 'd'], ['c', 'd']],
    [[], null, ['e'], ['c'], ['c']],
  ])('entrypoint %j, command %j on an image with %j, %j runs %j', (entrypoint, cmd, imageEntrypoint, imageCmd, argv) => {
    const image = { ...(imageEntrypoint === undefined ? {} : { Entrypoint: imageEntrypoint }), ...(imageCmd === undefined ? {} : { Cmd: imageCmd }) };
    const { path, args } = planProcess(request({ entrypoint, cmd }), image, []);
    expect([path, ...args]).toEqual(argv);
  });

  it('merges what image and request say', () => {
    const image = { Cmd: ['c'], Env: ['A=image', 'B=image'], WorkingDir: '/srv/../app/', User: 'app', Labels: { a: '1', b: '1' }, Volumes: { '/v': {} }, ExposedPorts: { '80/tcp': {} }, StopSignal: 'SIGINT' };
    const { effective, stopSignal } = planProcess(request({ env: ['A=mine', 'B'] }), image, ['/anon']);
    expect(effective).toEqual({ env: ['A=mine', 'B'], cmd: ['c'], entrypoint: null, workingDir: '/app', user: 'app', labels: { a: '1', b: '2' }, volumes: ['/anon', '/v'], exposedPorts: ['80/tcp'] });
    expect(stopSignal).toBe('SIGINT');
    expect(processEnv({ env: effective.env, hostname: 'h', tty: true, home: '/home/app' })).toEqual(['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOSTNAME=h', 'TERM=xterm', 'A=mine', 'HOME=/home/app']);
    expect(processEnv({ env: ['PATH', 'HOME=/x'], hostname: 'h', tty: false, home: '/' })).toEqual(['HOSTNAME=h', 'HOME=/x']);
  });

  it('refuses what cannot be run', () => {
    expect(() => planProcess(request(), {}, [])).toThrow('no command specified');
    expect(() => planProcess(request({ cmd: ['x'], workingDir: 'rel' }), {}, [])).toThrow('needs to be an absolute path');
    expect(() => planProcess(request({ cmd: ['x'], workingDir: '/a/../proc/self/fd/7' }), {}, [])).toThrow('must not be in /proc');
  });

  it('tells failed starts in the words by which clients choose their exit code', () => {
    const user = { uid: 0, gid: 0, supplementaryGids: [], home: '/' };
    expect(startFailure({ path: 'foo', workingDir: '/' }, user, new CodedError('not_found', 'program: No such file or directory'))).toMatchObject({ exitCode: 127, message: expect.stringContaining('exec: "foo": executable file not found in $PATH') });
    expect(startFailure({ path: '/foo', workingDir: '/' }, user, new CodedError('not_found', 'program: No such file or directory'))).toMatchObject({ exitCode: 127, message: expect.stringContaining('no such file or directory') });
    expect(startFailure({ path: '/etc', workingDir: '/' }, user, new CodedError('permission_denied', 'program: Permission denied'))).toMatchObject({ exitCode: 126, message: expect.stringContaining('permission denied') });
    expect(startFailure({ path: 'x', workingDir: '/a' }, user, new CodedError('not_found', 'working directory: Not a directory'))).toMatchObject({ exitCode: 126, message: expect.stringContaining('chdir to cwd ("/a") set in config.json failed: not a directory') });
    expect(startFailure({ path: '/etc', workingDir: '/' }, undefined, new CodedError('invalid_argument', 'unable to find user x: no matching entries in passwd file'))).toEqual({ exitCode: 128, message: 'unable to find user x: no matching entries in passwd file' });
  });
});

describe('the user of a container', () => {
  const files = { passwd: 'root:x:0:0:root:/root:/bin/sh\nbad line\napp:x:1000:1001::/home/app:/bin/sh\nlow:x:nine:1::/:\n', group: 'root:x:0:\nstaff:x:50:app,other\napp:x:1001:\nwheel:x:10:app\n' };

  it.each<[string, object]>([
    ['', { uid: 0, gid: 0, home: '/root', supplementaryGids: [0] }],
    ['app', { uid: 1000, gid: 1001, home: '/home/app', supplementaryGids: [1001, 50, 10] }],
    ['1000', { uid: 1000, gid: 1001, home: '/home/app', supplementaryGids: [1001, 50, 10] }],
    ['app:staff', { uid: 1000, gid: 50, home: '/home/app', supplementaryGids: [50] }],
    ['7:8', { uid: 7, gid: 8, home: '/', supplementaryGids: [8] }],
    ['7', { uid: 7, gid: 0, home: '/', supplementaryGids: [0] }],
    [':wheel', { uid: 0, gid: 10, home: '/root', supplementaryGids: [10] }],
  ])('%j', (text, user) => {
    expect(resolveUser(text, files)).toEqual(user);
  });

  it.each([
    ['nobody', 'unable to find user nobody: no matching entries in passwd file'],
    ['low', 'unable to find user low: no matching entries in passwd file'],
    ['app:none', 'unable to find group none: no matching entries in group file'],
    ['70000', 'uids and gids must be in range 0-65535'],
    ['-1', 'unable to find user -1: no matching entries in passwd file'],
  ])('%j is none', (text, message) => {
    expect(() => resolveUser(text, files)).toThrow(message);
  });
});
