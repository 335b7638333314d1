/** What containers and builds ask of the image store. Types only. */
import type { ContainerConfig, OciImageConfig } from "../types.ts";

/** An image in the store, complete: every layer is unpacked. */
export interface StoredImage {
  /** `sha256:<hex>` of the configuration, Docker's image id. */
  readonly id: string;
  readonly config: OciImageConfig;
  /** Digest of the manifest it came with, where known. */
  readonly manifestDigest: string | undefined;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** Directories of the unpacked layers, lowest first, for overlayfs. Absolute, without ":" or ",". Each once, so there may be fewer
   *  than diff ids. */
  readonly layerDirs: readonly string[];
  /** Chain id of the top layer (`sha256:<hex>`); undefined for an image without layers. */
  readonly chainId: string | undefined;
  readonly sizeBytes: number;
}

/** A container's changes to be made an image. */
export interface CommitRequest {
  readonly baseImageId: string;
  /** In overlay upper-dir form. Copied, not taken over. */
  readonly upperDir: string;
  readonly config: ContainerConfig;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  readonly createdBy: string;
  /** Empty: none, as with `comment` and `reference`. */
  readonly author: string;
  readonly comment: string;
  readonly reference: string;
}

export interface ImageStore {
  /** By id, unique id prefix, `repo[:tag]` or `repo@digest`, normalised as Docker does (`busybox` = docker.io/library/busybox:latest).
   *  @param platform which to take where several came from one index; where that is not there, the one that has the name
   *  @throws image/not-found with Docker's text `No such image: busybox:latest` */
  resolve(ref: string, platform?: string): StoredImage;
  /** Marks the image as used by a container until released: `remove` refuses it. Not persisted; containers re-acquire at start-up. */
  acquire(imageId: string, user: { readonly containerId: string; readonly running: () => boolean }): void;
  release(imageId: string, containerId: string): void;
  /** Adds a layer from a directory in overlay upper-dir form (whiteouts as char 0:0 and opaque xattrs), takes the directory over.
   *  @returns its diff id and size */
  commitLayer(
    parentChainId: string | undefined,
    upperDir: string,
  ): Promise<{ readonly diffId: string; readonly chainId: string; readonly sizeBytes: number }>;
  /** Stores a configuration whose layers are all in the store; tags it when `tags` are given. @returns the image id */
  commitImage(config: OciImageConfig, tags: readonly string[]): Promise<string>;
  /** Gives images for several platforms one name; see `join-platforms.ts`. */
  joinPlatforms(ids: readonly string[], tags: readonly string[]): string;
  /** @returns what deletes those of the images given that came after this call, where they have no name and no user */
  rememberImages(): (ids: readonly string[]) => void;
  /** An image of a container's image and what the container changed. @returns its id
   *  @throws request/invalid, build/invalid, image/invalid, host/no-space */
  commitChanges(request: CommitRequest): Promise<string>;
  /** Unpacked directories of a chain, lowest first.
   *  @throws image/not-found */
  layerDirs(chainId: string): readonly string[];
  /** Unpacked directory of a layer; undefined where the store does not have it. */
  layerDirectory(diffId: string): string | undefined;
  /** Lets go of a chain that `commitLayer` made: from then on only images keep its layers. `commitImage` does so for the chain of
   *  the image. Idempotent. */
  releaseChain(chainId: string): void;
  /** Those that `commitLayer` made or `keepChain` named, and `releaseChain` did not. */
  keptChains(): ReadonlySet<string>;
  /** Deletes the layers that neither an image nor a chain keeps. */
  collectLayers(): void;
  /** Diff ids of the layers that images have. */
  imageLayers(): ReadonlySet<string>;
  /** Keeps the layers of a chain that is in the store, also across restarts, until `releaseChain`. */
  keepChain(chainId: string): void;
}
