import type { Platform } from '#testing';

/** Ends a suite: no process, mount, cgroup, name space, socket or temporary folder of its platform may outlive it. */
export async function stopAndExpectNothingLeft(platform: Platform): Promise<void> {
  try {
    await platform.stopServices();
    expect(await platform.leaks()).toMatchObject({ exitCode: 0 });
  } finally {
    await platform.stop();
  }
}
