/** What a build is asked to do, and what planning needs to know about base images. Types only. */
import type { OciImageConfig } from "../../types.ts";
import type { Platform } from "../../images/platform.ts";
import type { NetworkMode } from "../dockerfile/instruction.ts";
import type { BaseImage } from "./steps.ts";

/** A context by another name: what `FROM name`, `COPY --from=name` and stages of that name then mean. */
export type NamedContext =
  | { readonly kind: "local"; readonly name: string }
  | { readonly kind: "image"; readonly reference: string }
  | { readonly kind: "resolved"; readonly image: ResolvedImage };

export interface PlanOptions {
  /** Stage name or number; undefined: the last stage. */
  readonly target: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: that of the build host, and an image of another one is taken as it is. */
  readonly platform: Platform | undefined;
  readonly buildPlatform: Platform;
  readonly namedContexts: Readonly<Record<string, NamedContext>>;
  /** Lines of the ignore file, for the check of copies that are ignored. */
  readonly ignorePatterns: readonly string[];
  /** Stages that take nothing from the cache. */
  readonly noCache: "none" | "all" | readonly string[];
  /** Of RUN without `--network`. */
  readonly network: NetworkMode;
  /** Prepended to the ids of cache mounts. */
  readonly cacheNamespace: string;
}

export interface ResolvedImage {
  readonly image: BaseImage;
  readonly config: OciImageConfig;
}

export interface ImageResolver {
  /** @throws what the store or the registry says where there is no such image for the platform */
  resolveImage(reference: string, platform: Platform): Promise<ResolvedImage>;
}
