import type { Platform } from '#testing';

/** Ends a suite: no process, mount, cgroup, name space, socket or temporary folder of its platform may outlive it. */
export async function stopAndExpectNothingLeft(platform: Platform): Promise<void> {
  try {
    await platform.stopServices();
    const { exitCode, stdout, stderr } = await platform.leaks();
    expect({ exitCode, said: exitCode === 0 ? '' : stdout + stderr }).toEqual({ exitCode: 0, said: '' });
  } finally {
    await platform.stop();
  }
}
