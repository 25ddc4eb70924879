import { launchRefusal } from './launch-refusal.js';

const WORDS = 'failed to create task for container: failed to create shim task: OCI runtime create failed: ';

describe('what an OCI runtime refuses an image for', () => {
  it.each([
    ['openat2 `dev`: No such file or directory', 127, ': unknown'],
    ['mount `tmpfs` to `dev`: Not a directory', 126, ': unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type'],
    ['the target `/proc` is invalid: Not a directory', 126, undefined],
    ['openat2 `sys`: Too many levels of symbolic links', 128, ': unknown'],
  ])('is the image’s fault: %s', (text, exitCode, end) => {
    const error = launchRefusal(text, '/srv/engine');
    expect(error).toMatchObject({ code: 'invalid_argument', details: { exitCode } });
    expect(error?.message.startsWith(`${WORDS}${text}`)).toBe(true);
    if (end !== undefined) expect(error?.message).toBe(`${WORDS}${text}${end}`);
  });

  it.each(['clone: Resource temporarily unavailable', 'open `/srv/engine/bin/agent`: No such file or directory'])('is the node’s: %s', (text) => {
    expect(launchRefusal(text, '/srv/engine')).toBeUndefined();
  });
});
