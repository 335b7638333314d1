/** Directories and mounts of one build: made on demand, all taken away at the end. They are below the data root, so that a
 *  directory becomes a layer by a rename; a killed engine's are removed by the next. */
import { chmodSync, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { mountOverlay, unmountOverlayLater } from "../../../host/overlay.ts";
import { keepEtc } from "../../containers/etc-directory.ts";
import type { ImageStore } from "../../images/types.ts";
import { Tree } from "../files/tree.ts";

export interface MountedLayer {
  /** Where the files are seen and changed. */
  readonly root: string;
  /** What was changed. */
  readonly upper: string;
}

export class Workspace {
  readonly directory: string;
  readonly #images: ImageStore;
  readonly #mounts = new Set<string>();
  readonly #trees = new Map<string, { readonly tree: Tree; readonly path: string }>();
  readonly #deferred: (() => void)[] = [];
  #count = 0;

  constructor(directory: string, images: ImageStore) {
    this.directory = directory;
    this.#images = images;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** `release` is called at the end, when nothing of the build reads any more. */
  defer(release: () => void): void {
    this.#deferred.push(release);
  }

  /** A new, empty directory. */
  newDirectory(name: string, mode = 0o755): string {
    this.#count += 1;
    const path = join(this.directory, `${name}-${this.#count}`);
    mkdirSync(path, { mode: 0o700 });
    chmodSync(path, mode);
    return path;
  }

  /** Layers of a chain, highest first; none for scratch. */
  lowerDirs(chainId: string | undefined): readonly string[] {
    return chainId === undefined ? [] : this.#images.layerDirs(chainId).toReversed();
  }

  /** The files of a chain with a layer to write on top. `initLayer`: the engine's, between the two. */
  mountWritable(chainId: string | undefined, initLayer?: string): MountedLayer {
    const upper = this.newDirectory("upper");
    const below = this.lowerDirs(chainId);
    if (initLayer !== undefined) keepEtc(upper, below, (owner) => owner);
    const lower = initLayer === undefined ? below : [initLayer, ...below];
    const root = this.#mount(lower.length === 0 ? [this.newDirectory("empty")] : lower, upper);
    return { root, upper };
  }

  /** A directory as it is, with changes that are thrown away. */
  mountScratchOver(directory: string): string {
    return this.#mount([directory], this.newDirectory("upper"));
  }

  #mount(lower: readonly string[], upper: string | undefined): string {
    const root = this.newDirectory("root");
    const work = upper === undefined ? undefined : this.newDirectory("work");
    mountOverlay(upper === undefined || work === undefined ? { lower } : { lower, upper, work }, root);
    this.#mounts.add(root);
    return root;
  }

  async unmount(root: string): Promise<void> {
    await unmountOverlayLater(root);
    this.#mounts.delete(root);
  }

  /** The files of a chain, to read. Stays open until the end of the build. */
  readTree(chainId: string | undefined): { readonly tree: Tree; readonly path: string } {
    const known = this.#trees.get(chainId ?? "");
    if (known !== undefined) return known;
    // The kernel wants two layers of a mount that nobody writes to.
    const lower = [...this.lowerDirs(chainId), this.newDirectory("empty")];
    const path = lower.length === 1 ? (lower[0] ?? "") : this.#mount(lower, undefined);
    const opened = { tree: new Tree(path), path };
    this.#trees.set(chainId ?? "", opened);
    return opened;
  }

  openTree(name: string, directory: string): Tree {
    const known = this.#trees.get(`:${name}`);
    if (known !== undefined) return known.tree;
    const tree = new Tree(directory);
    this.#trees.set(`:${name}`, { tree, path: directory });
    return tree;
  }

  /** Everything is tried. @returns what went wrong */
  async close(): Promise<readonly unknown[]> {
    const errors: unknown[] = [];
    const attempt = async (work: () => void | Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        errors.push(error);
      }
    };
    for (const { tree } of this.#trees.values()) await attempt(() => tree.close());
    // Some may lie over others, which then go when these have gone.
    await Promise.all([...this.#mounts].toReversed().map((root) => attempt(() => this.unmount(root))));
    for (const release of this.#deferred) await attempt(release);
    await rm(this.directory, { recursive: true, force: true }).catch((error: unknown) => errors.push(error));
    return errors;
  }
}
