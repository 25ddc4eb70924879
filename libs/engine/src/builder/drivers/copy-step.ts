import { CodedError, isCodedError } from '#kernel';
import { isGitAddress } from '../../git/index.js';
import { readTar, writeTar, type TarEntryInput } from '../../tar/index.js';
import { CopyPlan } from '../context/copy-plan.js';
import type { PlannedStage } from '../stages/stage-graph.js';
import type { CopyStep } from '../stages/steps.js';
import { archiveAt, unpacked, type AddedArchive } from './added-archives.js';
import type { BuildFiles, BuildSession, StageImage } from './build-session.js';
import { ownerOf } from './copy-owner.js';
import { StackFiles } from './stack-files.js';
import { gitFiles } from './git-files.js';
import { filesOf, inputOf, sourceImage } from './stage-source.js';
import { fetchedFile, isUrl } from './url-source.js';

export interface CopyWork {
  readonly session: BuildSession;
  readonly step: CopyStep;
  readonly below: StageImage;
  readonly earlier: readonly PlannedStage[];
  readonly number: number;
}

/** What a COPY or ADD comes to: all that its layer is made of, and the layer. */
export interface PreparedCopy {
  readonly key: () => readonly unknown[];
  readonly layer: () => AsyncIterable<Buffer>;
  /** What was spooled for it alone. */
  readonly close: () => Promise<void>;
}

type Owner = { readonly uid: number; readonly gid: number } | undefined;

const ROOT = { uid: 0, gid: 0 };
const NANOS_PER_MS = 1_000_000n;

/** @throws CodedError `invalid_argument`, `not_found`, in Docker's words; `unsupported` */
export async function prepareCopy(work: CopyWork): Promise<PreparedCopy> {
  const preparation = new Preparation(work);
  try {
    return await preparation.prepare();
  } catch (error) {
    await preparation.close();
    if (isCodedError(error) && (error.code === 'not_found' || error.code === 'invalid_argument')) throw new CodedError(error.code, `${work.step.instruction} failed: ${error.message}`, error.details, { cause: error });
    throw error;
  }
}

class Preparation {
  private readonly spooled: BuildFiles[] = [];
  private readonly plans: CopyPlan[] = [];
  private readonly archives: AddedArchive[] = [];
  private intoDirectory = false;
  private chown: Owner;
  private missing: readonly string[] = [];

  constructor(private readonly work: CopyWork) {}

  async prepare(): Promise<PreparedCopy> {
    const { step, below, session } = this.work;
    const stack = new StackFiles(session.services, below.chainId);
    if (step.flags.keepGitDir) throw new CodedError('unsupported', '--keep-git-dir is not supported by this server: repositories come without their history');
    this.chown = step.chown === undefined ? undefined : await ownerOf(step.chown, stack);
    this.intoDirectory = step.destination.endsWith('/') || (await stack.kindOf(step.destination)) === 'directory';
    this.missing = await this.missingDirectories(stack);
    if (step.sources.length + step.documents.length > 1 && !this.intoDirectory) throw new CodedError('invalid_argument', `When using ${step.instruction} with more than one source file, the destination must be a directory and end with a /`);
    if (step.from === undefined) await this.fromContext();
    else await this.fromImage(step.from);
    await this.documents();
    return { key: () => this.key(), layer: () => this.layer(), close: () => this.close() };
  }

  async close(): Promise<void> {
    await Promise.all(this.spooled.map(({ archive }) => archive.remove()));
  }

  private async fromContext(): Promise<void> {
    const { step, session } = this.work;
    const isRemote = (source: string): boolean => isUrl(source) || isGitAddress(source);
    const remotes = step.sources.filter(isRemote);
    if (remotes.length > 0 && step.instruction === 'COPY') throw new CodedError('invalid_argument', "source can't be a URL for COPY");
    const sources: string[] = [];
    for (const source of step.sources.filter((each) => !isRemote(each))) {
      if (leavesContext(source)) throw new CodedError('invalid_argument', `forbidden path outside the build context: ${source.slice(0, 200)} ()`);
      sources.push(...(step.instruction === 'ADD' && step.flags.unpack !== false ? await this.withoutArchives(source) : [source]));
    }
    if (sources.length > 0) this.plan(session.context, sources, this.chown ?? ROOT);
    for (const remote of remotes) await (isGitAddress(remote) ? this.repository(remote) : this.url(remote));
  }

  /** Its files, into the destination, which is a directory then. */
  private async repository(address: string): Promise<void> {
    const { step, session } = this.work;
    const files = await gitFiles(session, address, step.flags.checksum);
    this.spooled.push(files);
    this.plan(files, ['/'], this.chown ?? ROOT, { intoDirectory: true });
  }

  /** What is left of a source when its archives are put aside to be unpacked. */
  private async withoutArchives(source: string): Promise<string[]> {
    const { context } = this.work.session;
    const found = context.paths.find(source, { followLast: true });
    const archives = await Promise.all(found.map((each) => archiveAt(context, each)));
    if (archives.every((archive) => archive === undefined)) return [source];
    for (const archive of archives) if (archive !== undefined) this.archives.push(archive);
    return found.flatMap(({ asked }, index) => (archives[index] === undefined ? [asked] : []));
  }

  private async url(url: string): Promise<void> {
    const { step, session } = this.work;
    const { name, files } = await fetchedFile(session, url, step.flags.checksum, this.intoDirectory);
    this.spooled.push(files);
    const [found] = files.paths.find(name, { followLast: false });
    const archive = step.flags.unpack === true && found !== undefined ? await archiveAt(files, found) : undefined;
    if (archive !== undefined) this.archives.push(archive);
    else this.plan(files, [name], this.chown ?? ROOT);
  }

  private async fromImage(from: string): Promise<void> {
    const { session, earlier, number, step } = this.work;
    const image = await sourceImage(session, from, earlier, number);
    const files = await filesOf(session, image, step.sources);
    this.spooled.push(files);
    this.plan(files, step.sources, this.chown);
  }

  private async documents(): Promise<void> {
    const { documents } = this.work.step;
    if (documents.length === 0) return;
    const mtimeNs = BigInt(this.work.session.services.clock.now()) * NANOS_PER_MS;
    const files = await this.work.session.spool(documents.map(({ name, content }): TarEntryInput => {
      const bytes = Buffer.from(content);
      return { path: name, type: 'file', mode: 0o644, ...ROOT, size: bytes.length, mtimeNs, content: [bytes] };
    }));
    this.spooled.push(files);
    this.plan(files, documents.map(({ name }) => name), this.chown ?? ROOT);
  }

  private plan({ archive, paths }: BuildFiles, sources: readonly string[], owner: Owner, { intoDirectory }: { readonly intoDirectory: boolean } = { intoDirectory: this.intoDirectory }): void {
    const { step } = this.work;
    this.plans.push(new CopyPlan(archive, paths, { sources, destination: step.destination, intoDirectory, owner, mode: step.chmod, parents: step.flags.parents, exclude: step.flags.exclude, missing: this.plans.length === 0 ? this.missing : [] }));
  }

  private key(): unknown[] {
    return [this.plans.map(({ key }) => key), this.archives.map(({ entry }) => [entry.digest, this.work.step.destination, this.chown ?? null, this.missing])];
  }

  /** Those that the copy makes: they belong to whom the files belong to. Those of root come into being by what is in them. */
  private async missingDirectories(stack: StackFiles): Promise<readonly string[]> {
    const { destination } = this.work.step;
    if (this.chown === undefined) return [];
    return stack.missing(destination.endsWith('/') ? destination : destination.slice(0, destination.lastIndexOf('/')));
  }

  private layer(): AsyncIterable<Buffer> {
    const [only] = this.plans;
    if (only !== undefined && this.plans.length === 1 && this.archives.length === 0) return only.layer();
    return writeTar(this.entries());
  }

  private async *entries(): AsyncGenerator<TarEntryInput, void, undefined> {
    if (this.plans.length === 0) for (const path of this.missing) yield { path: `${path.slice(1)}/`, type: 'directory', mode: 0o755, mtimeNs: 0n, ...(this.chown ?? ROOT) };
    for (const archive of this.archives) yield* unpacked(archive, this.work.step.destination);
    for (const plan of this.plans) for await (const entry of readTar(plan.layer())) yield inputOf(entry, entry.path, entry.linkname);
  }
}

function leavesContext(source: string): boolean {
  let depth = 0;
  for (const name of source.split('/')) {
    if (name === '..') depth -= 1;
    else if (name !== '' && name !== '.') depth += 1;
    if (depth < 0) return true;
  }
  return false;
}
