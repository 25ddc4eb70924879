import { packageFailure } from './package-failures.js';

describe('what apt says went wrong', () => {
  it.each<[string, string, RegExp]>([
    ["W: Failed to fetch http://mirror.example/debian/dists/bookworm/InRelease  Temporary failure resolving 'mirror.example'", 'unavailable', /cannot be reached: .*mirror\.example/],
    ['E: Unable to locate package pyhton3', 'failed_precondition', /does not exist in this Debian suite: E: Unable to locate package pyhton3/],
    ['dpkg: error: No space left on device', 'resource_exhausted', /the disk is full/],
    ["E: The repository 'http://mirror.example/debian bookworm InRelease' is not signed.", 'failed_precondition', /debian-archive-keyring/],
  ])('%s', (line, code, message) => {
    expect(packageFailure(['Reading package lists...', line])).toEqual({ code, message: expect.stringMatching(message) });
  });

  it('is nothing when a program of the build failed by itself', () => {
    expect(packageFailure(['make: *** [all] Error 2'])).toBeUndefined();
  });
});
