import { Inject, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import {
  buildSourceSpecSchema,
  buildSourceValuesSchema,
  type BuildDeliveryView,
  type BuildSourceSpec,
  type BuildSourceValues,
  type BuildSourceView,
  type CreateBuildSource,
  type CreatedBuildSource,
  type ListBuildSourcesQuery,
  type Page,
  type UpdateBuildSource,
} from '#contracts';
import { CodedError, isId, newId, type BuildSourceId, type Clock } from '#kernel';
import type { BuildSource, Repositories } from '#persistence';
import type { TenantCaller } from '../auth/caller.js';
import { CLOCK, REPOSITORIES } from '../platform/platform.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { toBuildDeliveryView, toBuildSourceView } from './build-source-view.js';
import { SourceVault } from './source-vault.js';
import { newWebhookSecret } from './webhook-signature.js';

/** Nobody guesses the address of a webhook. */
const HOOK_BYTES = 16;

/** Repositories whose pushes build images: registered, changed, forgotten. */
@Injectable()
export class BuildSourcesService {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly vault: SourceVault,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** The secret stands in this answer and nowhere else. @throws CodedError `invalid_argument`, `already_exists` (the name is taken), `quota_exceeded` */
  async create({ tenant }: TenantCaller, { name, buildArgs, secrets, registries, ...fields }: CreateBuildSource): Promise<CreatedBuildSource> {
    const now = this.clock.now();
    const id: BuildSourceId = newId('buildSource', now);
    const values = checkedValues({ buildArgs, secrets, registries });
    const webhookSecret = newWebhookSecret();
    const sealed = { sealedValues: this.vault.sealValues(id, values), sealedSecret: this.vault.sealSecret(id, webhookSecret) };
    const hook = randomBytes(HOOK_BYTES).toString('base64url');
    const source = await this.repositories.buildSources.create(tenant.id, { id, name, hook, spec: specOf(fields, values), ...sealed, createdAt: new Date(now) }, { max: tenant.limits.buildSources });
    return { ...toBuildSourceView(source), webhookSecret };
  }

  async list({ tenant }: TenantCaller, query: ListBuildSourcesQuery): Promise<Page<BuildSourceView>> {
    const { items, nextCursor } = await this.repositories.buildSources.list(tenant.id, query);
    return { items: items.map(toBuildSourceView), nextCursor };
  }

  /** By its id or its name. @throws CodedError `not_found`, the same for another tenant's */
  async find({ tenant }: TenantCaller, ref: string): Promise<BuildSource> {
    const source = await this.repositories.buildSources.find(tenant.id, isId('buildSource', ref) ? { id: ref } : { name: ref });
    if (source === undefined) throw new CodedError('not_found', 'no such build source', { kind: 'buildSource' });
    return source;
  }

  /** @throws as `find` */
  async get(caller: TenantCaller, ref: string): Promise<BuildSourceView> {
    return toBuildSourceView(await this.find(caller, ref));
  }

  /** @throws CodedError `invalid_argument` (it does not fit what stays), `conflict` (changed by another at the same time), and as `find` */
  async update(caller: TenantCaller, ref: string, change: UpdateBuildSource): Promise<BuildSourceView> {
    const source = await this.find(caller, ref);
    const { buildArgs, secrets, registries, ...fields } = change;
    const values = checkedValues({ ...this.vault.valuesOf(source), ...given({ buildArgs, secrets, registries }) });
    const spec = specOf({ ...source.spec, ...given(fields) }, values);
    return toBuildSourceView(await this.repositories.buildSources.update(caller.tenant.id, source.id, source.revision, { spec, sealedValues: this.vault.sealValues(source.id, values) }));
  }

  /** The old secret is worth nothing from now on. @throws CodedError as `update` */
  async rotateSecret(caller: TenantCaller, ref: string): Promise<CreatedBuildSource> {
    const source = await this.find(caller, ref);
    const webhookSecret = newWebhookSecret();
    const changed = await this.repositories.buildSources.update(caller.tenant.id, source.id, source.revision, { sealedSecret: this.vault.sealSecret(source.id, webhookSecret) });
    return { ...toBuildSourceView(changed), webhookSecret };
  }

  /** Its builds and their images stay. @throws as `find` */
  async delete(caller: TenantCaller, ref: string): Promise<void> {
    await this.repositories.buildSources.delete(caller.tenant.id, (await this.find(caller, ref)).id);
  }

  /** Newest first. @throws as `find` */
  async deliveries(caller: TenantCaller, ref: string, query: ListBuildSourcesQuery): Promise<Page<BuildDeliveryView>> {
    const { items, nextCursor } = await this.repositories.buildDeliveries.list(caller.tenant.id, (await this.find(caller, ref)).id, query);
    return { items: items.map(toBuildDeliveryView), nextCursor };
  }
}

type Fields = Omit<BuildSourceSpec, keyof BuildSourceValues>;

/** Of the values, their names alone. @throws CodedError `invalid_argument` */
function specOf(fields: { readonly [K in keyof Fields]: Fields[K] | null }, { buildArgs, secrets, registries }: BuildSourceValues): BuildSourceSpec {
  const kept = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));
  const parsed = buildSourceSpecSchema.safeParse({ ...kept, buildArgs: namesIn(buildArgs), secrets: namesIn(secrets), registries: namesIn(registries) });
  if (!parsed.success) throw invalidArgument(parsed.error.issues);
  return parsed.data;
}

/** @throws CodedError `invalid_argument` */
function checkedValues(values: BuildSourceValues): BuildSourceValues {
  const parsed = buildSourceValuesSchema.safeParse(values);
  if (!parsed.success) throw invalidArgument(parsed.error.issues);
  return parsed.data;
}

function namesIn(values: object): string[] {
  return Object.keys(values).sort();
}

/** Without what was left out: an undefined member would take the place of what is there. */
function given<T extends object>(change: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
