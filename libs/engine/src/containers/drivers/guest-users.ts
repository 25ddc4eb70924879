import { isCodedError } from '#kernel';
import type { ExpectedFile, GuestAgent, ProcessSpec } from '../../runtime/index.js';
import { resolveUser, type GuestUser } from './guest-accounts.js';
import { PASSWD, GROUP, readAccount } from './guest-lookup.js';
import type { AgentLine } from './process-input.js';

/** Of both files together: beside arguments and environment they must fit into a frame to the agent. */
const REMEMBERED_BYTES = 64 * 1024;
/** Of different ones a client may name any number. */
const RESOLVED = 16;

/** `user` as `resolveUser` takes it, with further groups. */
export interface WantedUser {
  readonly user: string;
  readonly groups: readonly string[];
}

export interface UserStart {
  /** The user is known; asked a second time when what was remembered does not hold any more. */
  readonly plan: (user: GuestUser) => Promise<ProcessSpec>;
  /** The user is not known, or not any more. */
  readonly asking: () => void;
}

interface Remembered {
  readonly files: readonly [passwd: ExpectedFile, group: ExpectedFile];
  readonly resolved: Map<string, GuestUser>;
}

/**
 * Users of one run of a container, by the container's own files. A program of the container may change these at any time, so what they held before is no more than a
 * guess, which saves asking: the agent looks whether it still holds, and starts nothing when it does not.
 */
export class GuestUsers {
  private remembered: Remembered | undefined;

  constructor(private readonly line: AgentLine) {}

  /** As the files have it now. @throws CodedError `invalid_argument` (no such user or group), `unavailable` */
  async lookUp(agent: GuestAgent, wanted: WantedUser): Promise<GuestUser> {
    // Both are asked for at once.
    const [passwd, group] = await Promise.all([readAccount(agent, PASSWD), readAccount(agent, GROUP)]);
    const known: Remembered = { files: [{ path: PASSWD, content: passwd }, { path: GROUP, content: group }], resolved: new Map() };
    this.remembered = passwd.length + group.length <= REMEMBERED_BYTES ? known : undefined;
    return userIn(known, wanted);
  }

  /** @throws CodedError as `lookUp` and `GuestAgent.start` */
  async start(wanted: WantedUser, { plan, asking }: UserStart): Promise<void> {
    if (await this.startAsRemembered(wanted, plan)) return;
    asking();
    const spec = await plan(await this.line.talk((agent) => this.lookUp(agent, wanted)));
    await this.line.talk((agent) => agent.start(spec));
  }

  private async startAsRemembered(wanted: WantedUser, plan: UserStart['plan']): Promise<boolean> {
    const { remembered } = this;
    const user = remembered === undefined ? undefined : userOrNone(remembered, wanted);
    if (remembered === undefined || user === undefined) return false;
    const spec = { ...(await plan(user)), expects: remembered.files };
    try {
      await this.line.talk((agent) => agent.start(spec));
      return true;
    } catch (error) {
      // `invalid_argument` also of an agent that is older than the worker, and knows no conditions.
      if (isCodedError(error, 'failed_precondition') || isCodedError(error, 'invalid_argument')) return false;
      throw error;
    }
  }
}

/** undefined: there was no such one, which may have changed. */
function userOrNone(remembered: Remembered, wanted: WantedUser): GuestUser | undefined {
  try {
    return userIn(remembered, wanted);
  } catch {
    return undefined;
  }
}

function userIn({ files: [passwd, group], resolved }: Remembered, { user, groups }: WantedUser): GuestUser {
  const name = JSON.stringify([user, groups]);
  const known = resolved.get(name);
  if (known !== undefined) return known;
  const found = resolveUser(user, { passwd: textOf(passwd), group: textOf(group) }, groups);
  if (resolved.size >= RESOLVED) resolved.clear();
  resolved.set(name, found);
  return found;
}

function textOf({ content }: ExpectedFile): string {
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString('utf8');
}
