/**
 * An archive's path as Docker takes it: relative to the root whether it begins with a slash or not, `.` and `..` resolved in the words alone.
 * undefined when it would leave.
 */
export function cleanArchivePath(path: string): string | undefined {
  const kept: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') kept.push(name);
    else if (kept.pop() === undefined && !path.startsWith('/')) return undefined;
  }
  return kept.join('/');
}
