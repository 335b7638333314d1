/** Base images: those in the store, and those that are pulled for the build. */
import { isTscomposeError, TscomposeError } from "../../../errors.ts";
import type { ImageService } from "../../engine.ts";
import {
  canonicalName,
  familiarName,
  parseReference,
  tryParseReference,
  withDefaultTag,
} from "../../images/reference.ts";
import { formatPlatform } from "../../images/platform.ts";
import type { Platform } from "../../images/platform.ts";
import type { ImageStore, StoredImage } from "../../images/types.ts";
import type { RegistryCredentials } from "../../types.ts";
import type { ImageResolver, ResolvedImage } from "../plan/options.ts";

export interface BaseImageOptions {
  readonly images: ImageStore & Pick<ImageService, "pull">;
  readonly credentials: Readonly<Record<string, RegistryCredentials>>;
  /** For registries that are not among them. */
  readonly askCredentials: (registry: string) => Promise<RegistryCredentials | undefined>;
  /** Ask the registry even where the image is there. */
  readonly alwaysPull: boolean;
  /** The platform was asked for: an image of another one does not do. */
  readonly strictPlatform: boolean;
  readonly onMessage: (message: object) => void;
  readonly signal: AbortSignal;
}

function fits(image: StoredImage, platform: Platform): boolean {
  return image.config.os === platform.os && image.config.architecture === platform.architecture;
}

function found(name: string, image: StoredImage): ResolvedImage {
  const { os, architecture, variant } = image.config;
  return { image: { name, id: image.id, platform: { os, architecture, variant } }, config: image.config };
}

/** `https://index.docker.io/v1/` is what clients call Docker Hub. */
export function credentialsFor(
  credentials: BaseImageOptions["credentials"],
  domain: string,
): RegistryCredentials | undefined {
  const names = domain === "docker.io" ? ["https://index.docker.io/v1/", "index.docker.io", "docker.io"] : [domain];
  return names.map((name) => credentials[name]).find((value) => value !== undefined);
}

export function createImageResolver(options: BaseImageOptions): ImageResolver {
  const { images } = options;
  const local = (name: string, platform: Platform): StoredImage | undefined => {
    try {
      return images.resolve(name, options.strictPlatform ? formatPlatform(platform) : undefined);
    } catch (error) {
      if (isTscomposeError(error, "image/not-found")) return undefined;
      throw error;
    }
  };
  const pull = async (name: string, platform: Platform): Promise<void> => {
    const reference = withDefaultTag(parseReference(name));
    const messages = await images.pull({
      reference: canonicalName(reference),
      platform: options.strictPlatform ? formatPlatform(platform) : undefined,
      credentials:
        credentialsFor(options.credentials, reference.domain) ?? (await options.askCredentials(reference.domain)),
      signal: options.signal,
    });
    for await (const message of messages) {
      if (message.error !== undefined) throw new TscomposeError("registry/failed", message.error);
      options.onMessage(message);
    }
  };
  return {
    resolveImage: async (name, platform) => {
      const known = local(name, platform);
      const usable = known !== undefined && (!options.strictPlatform || fits(known, platform));
      if (usable && !options.alwaysPull) return found(name, known);
      const reference = tryParseReference(name);
      if (reference === undefined) {
        if (known !== undefined) return found(name, known);
        throw new TscomposeError("image/not-found", `No such image: ${name}`);
      }
      try {
        await pull(name, platform);
      } catch (error) {
        // A base that was made here is in no registry.
        if (usable && !isTscomposeError(error, "aborted")) return found(name, known);
        throw error;
      }
      const pulled = local(name, platform);
      if (pulled === undefined)
        throw new TscomposeError("image/not-found", `No such image: ${familiarName(withDefaultTag(reference))}`);
      return found(name, pulled);
    },
  };
}
