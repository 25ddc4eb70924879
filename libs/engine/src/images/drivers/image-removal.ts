import { CodedError, digestHex, type Digest } from '#kernel';
import type { Removal } from '../tenant-images.js';
import { familiarText, stackOf, type ImageSpace, type StoredImage, type StoredName } from './image-space.js';

export interface RemovalPlan {
  readonly removals: readonly Removal[];
  readonly names: readonly string[];
  readonly images: readonly StoredImage[];
  /** Of the layers that the name space has no longer. */
  readonly bytes: number;
}

interface Conflict {
  readonly hard: boolean;
  readonly used: boolean;
  readonly message: string;
}

/**
 * What `docker rmi` does, step by step as Docker's engine 28 decides it (moby, daemon/images/image_delete.go), as a plan: nothing is changed.
 * Layers are said to be deleted when this name space has no more use for them, whatever another has.
 */
export class Removing {
  private readonly removals: Removal[] = [];
  private readonly goneNames = new Set<string>();
  private readonly goneImages = new Map<Digest, StoredImage>();
  private readonly chainsLess = new Map<Digest, number>();
  private bytes = 0;

  private constructor(
    private readonly space: ImageSpace,
    private readonly force: boolean,
  ) {}

  /**
   * `name` is the name that the image was found by; undefined: by its ID.
   * @throws CodedError `conflict`
   */
  static plan(space: ImageSpace, target: { readonly image: StoredImage; readonly name: StoredName | undefined; readonly text: string }, options: { readonly force: boolean; readonly keepParents: boolean }): RemovalPlan {
    const removing = new Removing(space, options.force);
    removing.remove(target, !options.keepParents);
    return { removals: removing.removals, names: [...removing.goneNames], images: [...removing.goneImages.values()], bytes: removing.bytes };
  }

  private remove({ image, name, text }: { readonly image: StoredImage; readonly name: StoredName | undefined; readonly text: string }, prune: boolean): void {
    const names = this.names(image.id);
    if (name === undefined) {
      if (isSingleReference(names)) {
        const conflict = this.conflictOf(image.id, { references: false, stopped: !this.force });
        if (conflict) throw refusal(image.id, conflict);
        this.untag(names);
      }
      this.delete(image, { force: this.force, prune, quiet: false });
      return;
    }
    const [holder] = this.space.holdersOf(image.id);
    if (!this.force && isSingleReference(names) && holder) {
      throw new CodedError('conflict', `conflict: unable to remove repository reference "${text}" (must force) - container ${short(holder.id)} is using its referenced image ${short(digestHex(image.id))}`);
    }
    this.untag([name.name]);
    this.untagOrphanedDigests(image.id, name.name);
    if (this.names(image.id).length === 0) this.delete(image, { force: this.force, prune, quiet: true });
  }

  /** When the last tag of a repository goes, its digest references go with it. */
  private untagOrphanedDigests(id: Digest, name: string): void {
    if (isDigestName(name)) return;
    const siblings = this.names(id).filter((other) => repositoryIn(other) === repositoryIn(name));
    if (siblings.every(isDigestName)) this.untag(siblings);
  }

  private delete(image: StoredImage, how: { readonly force: boolean; readonly prune: boolean; readonly quiet: boolean }): void {
    const conflict = this.conflictOf(image.id, { references: !how.force, stopped: !how.force });
    if (conflict) {
      const dangling = this.names(image.id).length === 0 && this.children(image.id).length === 0;
      if (how.quiet && (!dangling || conflict.used)) return;
      throw refusal(image.id, conflict);
    }
    this.untag(this.names(image.id));
    this.goneImages.set(image.id, image);
    this.removals.push({ kind: 'deleted', id: image.id });
    this.deleteLayers(image);
    const parent = image.parent === undefined ? undefined : this.space.images.get(image.parent);
    if (how.prune && parent && !this.goneImages.has(parent.id)) this.delete(parent, { force: false, prune: true, quiet: true });
  }

  private deleteLayers(image: StoredImage): void {
    for (const chain of stackOf(image)) this.chainsLess.set(chain, (this.chainsLess.get(chain) ?? 0) + 1);
    for (const layer of [...image.layers].reverse()) {
      if (this.space.chains.of(layer.chainId) > (this.chainsLess.get(layer.chainId) ?? 0)) return;
      this.removals.push({ kind: 'deleted', id: layer.chainId });
      this.bytes += layer.sizeBytes;
    }
  }

  private untag(names: readonly string[]): void {
    for (const name of names) {
      this.goneNames.add(name);
      this.removals.push({ kind: 'untagged', name: familiarText(name) });
    }
  }

  private conflictOf(id: Digest, soft: { readonly references: boolean; readonly stopped: boolean }): Conflict | undefined {
    if (this.children(id).length > 0) return { hard: true, used: false, message: 'image has dependent child images' };
    const holders = this.space.holdersOf(id);
    const running = holders.find((holder) => holder.running);
    if (running) return { hard: true, used: true, message: `image is being used by running container ${short(running.id)}` };
    if (soft.references && this.names(id).length > 0) return { hard: false, used: false, message: 'image is referenced in multiple repositories' };
    const [stopped] = holders;
    if (soft.stopped && stopped) return { hard: false, used: true, message: `image is being used by stopped container ${short(stopped.id)}` };
    return undefined;
  }

  private names(id: Digest): string[] {
    return this.space
      .namesOf(id)
      .map(({ name }) => name)
      .filter((name) => !this.goneNames.has(name));
  }

  private children(id: Digest): StoredImage[] {
    return this.space.childrenOf(id).filter((child) => !this.goneImages.has(child.id));
  }
}

/** All names are of one repository, and at most one of them is a tag. */
function isSingleReference(names: readonly string[]): boolean {
  if (names.length <= 1) return names.length === 1;
  const tags = names.filter((name) => !isDigestName(name));
  return tags.length <= 1 && new Set(names.map(repositoryIn)).size === 1;
}

function isDigestName(name: string): boolean {
  return name.includes('@');
}

function repositoryIn(name: string): string {
  return isDigestName(name) ? name.slice(0, name.indexOf('@')) : name.slice(0, name.lastIndexOf(':'));
}

function refusal(id: Digest, { hard, message }: Conflict): CodedError {
  return new CodedError('conflict', `conflict: unable to delete ${short(digestHex(id))} (${hard ? 'cannot be forced' : 'must be forced'}) - ${message}`);
}

/** As ids are shown. */
function short(id: string): string {
  return id.slice(0, 12);
}
