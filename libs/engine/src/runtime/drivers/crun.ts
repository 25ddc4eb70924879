import type { OciRuntime } from '../oci-runtime.js';

/** @param program absolute path */
export function crunRuntime(program = '/usr/bin/crun'): OciRuntime {
  return {
    name: 'crun',
    joinsCgroup: 'before',
    runArgv: ({ id, stateRoot, bundle, pidFile }) => [
      program,
      '--root',
      stateRoot,
      '--cgroup-manager=disabled',
      'run',
      '--detach',
      '--preserve-fds',
      '1',
      '--bundle',
      bundle,
      '--pid-file',
      pidFile,
      id,
    ],
    // With cgroups disabled its folder is all it makes.
    deleteArgv: () => undefined,
  };
}
