const MOST = 8192;
const MAX_TEXT = 4096;
const RANGE = /^(\d{1,5})(?:-(\d{1,5}))?$/;

/** Why a list (`0-2,4`) cannot be had of what there is. */
export function cpuListFault(list: string, available: string): 'malformed' | 'unavailable' | undefined {
  const wanted = parse(list);
  if (wanted === undefined) return 'malformed';
  const there = parse(available) ?? new Set<number>();
  return [...wanted].every((number) => there.has(number)) ? undefined : 'unavailable';
}

function parse(list: string): Set<number> | undefined {
  if (list.length > MAX_TEXT) return undefined;
  const numbers = new Set<number>();
  for (const part of list.split(',')) {
    const [, first, last = first] = RANGE.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) >= MOST) return undefined;
    for (let number = Number(first); number <= Number(last); number += 1) numbers.add(number);
  }
  return numbers;
}
