import type { Builder, BuildEvent, BuildRequest, ContentStore, ImageRecord, TenantImages } from '#engine';
import { canonicalName, CodedError, isCodedError, parseReference, type Digest, type ImageReference } from '#kernel';
import { BASE_IMAGES } from '../base-images/base-image-installer.js';
import { packageFailure } from '../base-images/package-failures.js';
import { BuildProgress } from './build-progress.js';
import type { InstalledRuntime } from './installed-runtimes.js';
import { PLATFORM_TENANT } from './platform-tenant.js';
import type { DefinedRuntime } from './runtime-catalogue.js';
import type { RuntimeFiles } from './runtime-files.js';
import { runtimeReference } from './runtime-names.js';
import { planTrial } from './runtime-trial.js';

export interface RuntimeBuilderOptions {
  readonly builder: Pick<Builder, 'build'>;
  readonly images: Pick<TenantImages, 'resolve' | 'register' | 'tag' | 'remove'>;
  readonly content: Pick<ContentStore, 'pin'>;
  /** Debian's suite whose minimal system the runtimes stand on: `bookworm`. */
  readonly suite: string;
  /** `http_proxy` and the like, for the packages. */
  readonly proxies: ReadonlyMap<string, string>;
}

type Report = (percent: number, message: string) => void;

/** Makes runtimes of their Dockerfiles, as images of the platform's own tenant. One is named only when its example has run in it. */
export class RuntimeBuilder {
  constructor(private readonly options: RuntimeBuilderOptions) {}

  /** The minimal system as an image of the platform's, so that no build asks a registry for it. @throws CodedError `not_found` when it is not installed */
  async base(): Promise<ImageRecord> {
    const { images, content, suite } = this.options;
    const reference = parseReference(`debian:${suite}-slim`);
    const provided = await images.resolve(BASE_IMAGES, canonicalName(reference));
    const pin = await content.pin([provided.manifest, provided.id, ...provided.layers.map(({ blob }) => blob)]);
    try {
      return await images.register(PLATFORM_TENANT, { manifest: provided.manifest, names: [reference] });
    } finally {
      pin.release();
    }
  }

  /**
   * What was built before is known by the builder's cache: the same Dockerfile gives the same image.
   * @throws CodedError `failed_precondition`, `unavailable` (which mirror), `resource_exhausted`, `cancelled`, as `Builder.build`
   */
  async build({ definition, files, digest }: DefinedRuntime, base: Digest, report: Report, signal: AbortSignal): Promise<InstalledRuntime> {
    const candidate = runtimeReference(definition.name, 'candidate');
    const image = await this.carryOut(files, { tags: [candidate], buildArgs: new Map([...this.options.proxies, ['DEBIAN', this.options.suite]]) }, report, signal);
    report(97, 'is tried');
    const version = await this.tried({ definition, image: canonicalName(candidate) }, signal);
    const { images } = this.options;
    await images.tag(PLATFORM_TENANT, image, runtimeReference(definition.name, 'latest'));
    await images.remove(PLATFORM_TENANT, canonicalName(candidate), { force: true, keepParents: true });
    const { chainId, layers } = await images.resolve(PLATFORM_TENANT, image);
    return { name: definition.name, definition: digest, base, image, chainId, layers: layers.map((layer) => layer.chainId), version };
  }

  private async carryOut(files: RuntimeFiles, request: Partial<BuildRequest>, report: Report, signal: AbortSignal): Promise<Digest> {
    const progress = new BuildProgress();
    let told = '';
    try {
      return await this.run(files, request, signal, (event) => {
        progress.take(event);
        const { percent, message } = progress.state;
        if (told !== (told = `${percent} ${message}`)) report(percent, message);
      });
    } catch (error) {
      if (signal.aborted || !isCodedError(error, 'invalid_argument')) throw error;
      const { code, message } = packageFailure(progress.tail) ?? { code: 'failed_precondition' as const, message: `${error.message}: ${complaints(progress.tail).join(' | ')}` };
      throw new CodedError(code, message, { output: progress.tail }, { cause: error });
    }
  }

  /** @returns the first line that the version command prints. @throws CodedError `failed_precondition` */
  private async tried({ definition, image }: { definition: DefinedRuntime['definition']; image: string }, signal: AbortSignal): Promise<string> {
    const trial = planTrial(definition, image);
    const printed = new Map<number, string>();
    const errors: string[] = [];
    const take = (event: BuildEvent): void => {
      if (event.kind !== 'log') return;
      if (event.stream === 'stderr') errors.push(event.text.slice(0, 500));
      if (event.stream === 'stdout' || event.step === trial.versionStep) printed.set(event.step, `${printed.get(event.step) ?? ''}${event.text}`.slice(0, 10_000));
    };
    try {
      const made = await this.run(trial.files, { noCache: true, network: 'none' }, signal, take);
      // Up to the image that was tried, which has a name.
      await this.options.images.remove(PLATFORM_TENANT, made, { force: true, keepParents: false });
    } catch (error) {
      if (signal.aborted || !isCodedError(error, 'invalid_argument')) throw error;
      throw new CodedError('failed_precondition', `the example of ${definition.name} fails: ${error.message} ${errors.join('').trim().slice(-500)}`.trim(), {}, { cause: error });
    }
    const output = printed.get(trial.exampleStep) ?? '';
    if (output !== definition.example.stdout) throw new CodedError('failed_precondition', `the example of ${definition.name} printed ${JSON.stringify(output.slice(0, 200))}, not ${JSON.stringify(definition.example.stdout)}`);
    return ((printed.get(trial.versionStep) ?? '').trim().split('\n')[0] ?? '').slice(0, 200);
  }

  private async run(files: RuntimeFiles, request: Partial<BuildRequest>, signal: AbortSignal, take: (event: BuildEvent) => void): Promise<Digest> {
    const whole: BuildRequest = { buildArgs: new Map(), labels: new Map(), tags: [] as readonly ImageReference[], noCache: false, pull: false, network: 'default', limits: {}, authOf: () => undefined, ...request };
    const report = (event: BuildEvent): Promise<void> => {
      take(event);
      return Promise.resolve();
    };
    const { imageId } = await this.options.builder.build(PLATFORM_TENANT, whole, files.tar(), report, signal);
    return imageId;
  }
}

/** What a program says when it fails, or at least what it said last. */
function complaints(lines: readonly string[]): readonly string[] {
  const found = lines.filter((line) => /\berror\b|\bfailed\b|\bcannot\b|^E: /i.test(line));
  return (found.length === 0 ? lines : found).slice(-4);
}
