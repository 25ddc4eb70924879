import { elementLines, type RuleElement } from './rule-elements.js';

export interface RuleChain {
  readonly name: string;
  readonly hook?: string;
  readonly rules: readonly string[];
}

export interface RuleTable {
  readonly table: string;
  /** By family; `T` stands for the table. */
  readonly sets: readonly (readonly [family: string, text: string])[];
  readonly chains: readonly (readonly [family: string, chains: readonly RuleChain[]])[];
  readonly elements: readonly RuleElement[];
}

/** For `nft -f`: one transaction that puts these rules and elements in the place of all that were there. No name may be a word of nft's. */
export function tableText({ table, sets, chains, elements }: RuleTable): string {
  const lines = chains.map(([family]) => `add table ${family} ${table}`);
  for (const [, text] of sets) {
    const [kind = '', family = '', , name = ''] = text.split(' ');
    lines.push(`add ${text.replace(' T ', ` ${table} `)}`, `flush ${kind} ${family} ${table} ${name}`);
  }
  lines.push(...elementLines(table, elements));
  for (const [family, list] of chains) {
    // All of them first: rules may name any.
    for (const { name, hook } of list) lines.push(`add chain ${family} ${table} ${name}${hook === undefined ? '' : ` { ${hook} }`}`, `flush chain ${family} ${table} ${name}`);
    for (const { name, rules } of list) for (const rule of rules) lines.push(`add rule ${family} ${table} ${name} ${rule}`);
  }
  return `${lines.join('\n')}\n`;
}
