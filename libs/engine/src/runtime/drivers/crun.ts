import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#kernel';
import type { OciRuntime } from '../oci-runtime.js';

const SOCK_FILTER_BYTES = 8;

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
    compiledSeccomp: async (containerState) => {
      const filter = await readFile(join(containerState, 'seccomp.bpf')).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      });
      // An array of struct sock_filter. crun(1), "run.oci.seccomp_bpf_data": used in place of the bundle's profile.
      if (filter === undefined || filter.length === 0 || filter.length % SOCK_FILTER_BYTES !== 0) return undefined;
      return { 'run.oci.seccomp_bpf_data': filter.toString('base64') };
    },
    // With cgroups disabled its folder is all it makes.
    deleteArgv: () => undefined,
  };
}
