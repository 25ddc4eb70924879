import { CodedError } from '#kernel';

/** Of the guest's files: whatever stands in them. */
export interface GuestFiles {
  /** '' when there is none. */
  readonly passwd: string;
  readonly group: string;
}

export interface GuestUser {
  readonly uid: number;
  readonly gid: number;
  /** `gid` too: a set-group-id program must not take it away from who is to be refused by it. */
  readonly supplementaryGids: readonly number[];
  readonly home: string;
}

/** Of the sandbox's user name space. */
const MAX_ID = 65_535;
const MAX_GROUPS = 256;
const NUMBER = /^[0-9]{1,10}$/;

/**
 * `user[:group]`, names or numbers, as the container's own files have them. A number needs no entry; its group is then 0. `moreGroups` come beside its own.
 * @throws CodedError `invalid_argument`, in the runtime's words
 */
export function resolveUser(text: string, files: GuestFiles, moreGroups: readonly string[] = []): GuestUser {
  const colon = text.indexOf(':');
  const [userText, groupText] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  const wanted = userText === '' ? '0' : userText;
  const entry = passwdEntries(files.passwd).find(({ name, uid }) => name === wanted || (NUMBER.test(wanted) && uid === Number(wanted)));
  if (entry === undefined && !NUMBER.test(wanted)) throw refused(`unable to find user ${wanted.slice(0, 100)}: no matching entries in passwd file`);
  const uid = inRange(entry?.uid ?? Number(wanted));
  const home = entry?.home.startsWith('/') === true ? entry.home : '/';
  const groups = groupEntries(files.group);
  const added = moreGroups.map((each) => resolveGroup(each, groups));
  const user = (gid: number, more: readonly number[]): GuestUser => ({ uid, gid, supplementaryGids: distinct([gid, ...added, ...more]), home });
  if (groupText !== '') return user(resolveGroup(groupText, groups), []);
  const name = entry?.name;
  const own = groups.filter(({ gid, members }) => gid <= MAX_ID && name !== undefined && members.includes(name)).map(({ gid }) => gid);
  return user(inRange(entry?.gid ?? 0), own);
}

function resolveGroup(text: string, groups: readonly { readonly name: string; readonly gid: number }[]): number {
  const group = groups.find(({ name, gid }) => name === text || (NUMBER.test(text) && gid === Number(text)));
  if (group === undefined && !NUMBER.test(text)) throw refused(`unable to find group ${text.slice(0, 100)}: no matching entries in group file`);
  return inRange(group?.gid ?? Number(text));
}

function distinct(gids: readonly number[]): number[] {
  return [...new Set(gids)].slice(0, MAX_GROUPS);
}

/** The first name of each number. */
export function userNames(passwd: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const { uid, name } of passwdEntries(passwd)) if (!names.has(uid)) names.set(uid, name.replace(/[\p{C}\s]/gu, '?').slice(0, 32));
  return names;
}

function* fieldsOf(text: string, least: number): Generator<string[]> {
  for (const line of text.split('\n')) {
    const fields = line.trim().split(':');
    if (fields.length >= least && fields[0] !== '' && !line.startsWith('#')) yield fields;
  }
}

function passwdEntries(text: string): { name: string; uid: number; gid: number; home: string }[] {
  const entries = [];
  for (const [name = '', , uid = '', gid = '', , home = ''] of fieldsOf(text, 4)) if (NUMBER.test(uid) && NUMBER.test(gid)) entries.push({ name, uid: Number(uid), gid: Number(gid), home });
  return entries;
}

function groupEntries(text: string): { name: string; gid: number; members: string[] }[] {
  const entries = [];
  for (const [name = '', , gid = '', members = ''] of fieldsOf(text, 3)) if (NUMBER.test(gid)) entries.push({ name, gid: Number(gid), members: members.split(',') });
  return entries;
}

function inRange(id: number): number {
  if (id > MAX_ID) throw refused(`uids and gids must be in range 0-${MAX_ID}`);
  return id;
}

function refused(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
