import { CodedError } from '#kernel';
import { isUp, type ContainerRecord } from './container-record.js';

/** What Docker's clients read when a container is not in a state for what they ask. */

export function notRunning({ id, status }: ContainerRecord): CodedError {
  return new CodedError('conflict', status === 'restarting' ? `Container ${id} is restarting, wait until the container is running` : `container ${id} is not running`);
}

/** @throws CodedError `conflict` */
export function refuseRemoval(record: ContainerRecord): void {
  if (!isUp(record)) return;
  const { name, status } = record;
  const why = status === 'paused' ? 'container is paused and must be unpaused first' : `container is ${status}: stop the container before removing or force remove`;
  throw new CodedError('conflict', `cannot remove container "/${name}": ${why}`);
}

/** @throws CodedError `not_found`, `conflict` */
export function refuseIfGone({ id, phase }: ContainerRecord, gone: boolean): void {
  if (gone) throw new CodedError('not_found', `No such container: ${id}`);
  if (phase === 'removing') throw new CodedError('conflict', `container ${id} is marked for removal and cannot be changed`);
}
