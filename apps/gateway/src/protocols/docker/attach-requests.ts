import type { AttachExecRequest, AttachRequest } from '../../nodes/host-processes.js';
import { detachKeysOf } from './detach-keys.js';
import type { ExecStart } from './exec-config.js';
import { badParameter } from './errors.js';
import type { DockerQuery } from './query.js';

/** Of `POST /containers/{id}/attach`. @throws CodedError `invalid_argument` */
export function attachRequest(query: DockerQuery): Omit<AttachRequest, 'format'> {
  const keys = query.text('detachKeys');
  const detachKeys = keys === '' ? undefined : detachKeysOf(keys);
  if (keys !== '' && detachKeys === undefined) throw badParameter(`Invalid detach keys (${keys.slice(0, 100)}) provided`);
  return {
    stdin: query.flag('stdin'),
    stdout: query.flag('stdout'),
    stderr: query.flag('stderr'),
    logs: query.flag('logs'),
    follow: query.flag('stream'),
    ...(detachKeys === undefined ? {} : { detachKeys }),
  };
}

/** Of `POST /exec/{id}/start`: its streams are those that it was created with. The form is the one that is asked for here. */
export function startRequest({ tty, size }: ExecStart): AttachExecRequest {
  return { format: tty ? 'raw' : 'stdcopy', stdin: true, stdout: true, stderr: true, logs: false, follow: true, start: true, asCreated: true, ...(size === undefined ? {} : { size }) };
}
