import { z } from 'zod';
import { isCodedError, parseReference } from '#kernel';
import type { PushedRef, RefRule } from './ref-rules.js';

const PLACEHOLDER = /\{([^{}]*)\}/g;
const KNOWN = new Set(['branch', 'tag', 'sha', 'sha7']);
/** Of a tag, by the grammar of image names. */
const MAX_TAG = 128;

/**
 * An image's name whose tag is made from what was pushed: `team/app:{branch}-{sha7}`. Only the tag: who can push chooses neither the repository nor the registry.
 */
export const tagTemplateSchema = z
  .string()
  .min(1)
  .max(512)
  .superRefine((template, context) => {
    const fault = faultOf(template);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  });

/** Whether all that the template needs is there for pushes that the rule names. */
export function fitsRule(template: string, rule: RefRule): boolean {
  return !placeholdersIn(template).includes('branch' in rule ? 'tag' : 'branch');
}

/** The names for one push. Without a commit, those that need it are left out. Characters that no tag may have become `-`. */
export function namesFor(templates: readonly string[], ref: PushedRef, commit: string | undefined): string[] {
  const usable = commit === undefined ? templates.filter((template) => !placeholdersIn(template).some((name) => name.startsWith('sha'))) : templates;
  return [...new Set(usable.map((template) => fill(template, ref, commit ?? '')))];
}

function fill(template: string, ref: PushedRef, commit: string): string {
  if (!template.includes('{')) return template;
  const cut = template.lastIndexOf(':') + 1;
  const tag = template.slice(cut).replace(PLACEHOLDER, (_whole, name: string) => (name === 'sha' ? commit : name === 'sha7' ? commit.slice(0, 7) : ref.name));
  return template.slice(0, cut) + tag.replace(/[^\w.-]/g, '-').replace(/^[.-]/, '_').slice(0, MAX_TAG);
}

function placeholdersIn(template: string): string[] {
  return [...template.matchAll(PLACEHOLDER)].map(([, name = '']) => name);
}

function faultOf(template: string): string | undefined {
  const unknown = placeholdersIn(template).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) return `holds {${unknown}}: there are {branch}, {tag}, {sha} and {sha7}`;
  const first = template.indexOf('{');
  if (first >= 0 && (template.lastIndexOf(':', first) < template.lastIndexOf('/') || !template.slice(0, first).includes(':'))) return 'may hold {…} in its tag alone';
  try {
    const { digest } = parseReference(template.replace(PLACEHOLDER, 'x'));
    return digest === undefined ? undefined : 'a build cannot give a name with a digest';
  } catch (error) {
    if (isCodedError(error)) return error.message;
    throw error;
  }
}
