import type { OciRuntime } from '../oci-runtime.js';

/** @param program absolute path */
export function runcRuntime(program = '/usr/sbin/runc'): OciRuntime {
  return {
    name: 'runc',
    joinsCgroup: 'itself',
    runArgv: ({ id, stateRoot, bundle, pidFile }) => [program, '--root', stateRoot, 'run', '--detach', '--preserve-fds', '1', '--bundle', bundle, '--pid-file', pidFile, id],
    compiledSeccomp: () => Promise.resolve(undefined),
    deleteArgv: ({ stateRoot, id }) => [program, '--root', stateRoot, 'delete', '--force', id],
  };
}
