import { z } from 'zod';

const MAX_STARS = 8;

/** What git-check-ref-format(1) allows in names, and `*`. */
export const refPatternSchema = z
  .string()
  .min(1)
  .max(255)
  .regex(/^(?!-)[^\s~^:?[\\\p{Cc}]+$/u, 'is no name of a branch or a tag')
  .refine((pattern) => pattern.isWellFormed() && pattern.split('*').length <= MAX_STARS + 1, `has more than ${MAX_STARS} stars, or is not valid Unicode`);

/** Which pushes build: those to a branch, or those of a tag. `*` stands for any characters, `/` too. */
export const refRuleSchema = z.union([z.strictObject({ branch: refPatternSchema }), z.strictObject({ tag: refPatternSchema })]);
export type RefRule = z.infer<typeof refRuleSchema>;

export interface PushedRef {
  readonly type: 'branch' | 'tag';
  readonly name: string;
}

/** `refs/heads/main` → the branch main; undefined: neither a branch nor a tag. */
export function refOf(full: string): PushedRef | undefined {
  const [, folder, name = ''] = /^refs\/(heads|tags)\/(.+)$/s.exec(full) ?? [];
  if (folder === undefined) return undefined;
  return { type: folder === 'heads' ? 'branch' : 'tag', name };
}

export function fullRefOf({ type, name }: PushedRef): string {
  return `refs/${type === 'branch' ? 'heads' : 'tags'}/${name}`;
}

/** What the rule names without stars, as the one ref that it can mean; undefined: it is a pattern. */
export function onlyRefOf(rule: RefRule): PushedRef | undefined {
  const ref = patternOf(rule);
  return ref.name.includes('*') ? undefined : ref;
}

export function matchesRule(rule: RefRule, ref: PushedRef): boolean {
  const { type, name: pattern } = patternOf(rule);
  return type === ref.type && matches(pattern, ref.name);
}

function patternOf(rule: RefRule): PushedRef {
  return 'branch' in rule ? { type: 'branch', name: rule.branch } : { type: 'tag', name: rule.tag };
}

/** In time linear in the name for each star: a pattern and a name that two tenants chose must not hold the process. */
function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let from = first.length;
  for (const piece of rest) {
    const at = name.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}
