import type { TarEntry, TarEntryInput } from '../../tar/index.js';
import { CodedError, PathPattern } from '#kernel';
import { fromSource, type PlannedStage } from '../stages/stage-graph.js';
import type { BuildFiles, BuildSession, StageImage } from './build-session.js';
import { StackFiles } from './stack-files.js';

/** The image behind `--from` or `from=`: an earlier stage's, or one of the tenant's. @throws CodedError `invalid_argument`, as `BuildSession.base` */
export async function sourceImage(session: BuildSession, text: string, earlier: readonly PlannedStage[], step: number): Promise<StageImage> {
  const source = fromSource(text, earlier);
  if (source.kind === 'scratch') throw new CodedError('invalid_argument', 'nothing can be copied from scratch');
  if (source.kind === 'image') return session.base(source.name, step);
  const image = session.stages.get(source.index);
  if (image === undefined) throw new CodedError('internal', 'a stage was asked for before it was done');
  return image;
}

/** Of an image's tree, what the sources name: no more of it is read than the folders that the words of patterns begin with. */
export async function filesOf(session: BuildSession, image: StageImage, sources: readonly string[]): Promise<BuildFiles> {
  const stack = new StackFiles(session.services, image.chainId);
  const prefixes = [...new Set(sources.map(literalPrefix))];
  // One that lies in another comes with it.
  const wanted = prefixes.filter((prefix) => !prefixes.some((other) => other !== prefix && (other === '' || prefix.startsWith(`${other}/`))));
  return session.spool(entriesOf(stack, wanted, session));
}

async function* entriesOf(stack: StackFiles, prefixes: readonly string[], session: BuildSession): AsyncGenerator<TarEntryInput, void, undefined> {
  for (const prefix of prefixes) {
    let directory = false;
    for await (const entry of stack.entries(prefix)) {
      session.mustGoOn();
      const path = entry.path.replace(/^\.\//, '');
      if (path === '') directory = true;
      const below = (name: string): string => [prefix, name].filter((each) => each !== '').join('/');
      yield inputOf(entry, directory ? below(path) || './' : prefix, directory ? below(entry.linkname) : entry.linkname);
    }
  }
}

/** The same entry under another name. `linkname` counts for hard links alone. */
export function inputOf(entry: TarEntry, path: string, linkname: string): TarEntryInput {
  const { type, mode, uid, gid, mtimeNs, xattrs, size, content, devmajor, devminor } = entry;
  const common = { path, mode, uid, gid, mtimeNs, xattrs };
  if (type === 'file') return { ...common, type, size, content };
  return { ...common, type, linkname: type === 'hardlink' ? linkname : entry.linkname, devmajor, devminor };
}

function literalPrefix(source: string): string {
  const names: string[] = [];
  for (const name of source.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  const pattern = names.findIndex((name) => !PathPattern.isLiteral(name));
  return (pattern < 0 ? names : names.slice(0, pattern)).join('/');
}
