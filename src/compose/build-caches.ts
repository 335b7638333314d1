/** `cache_from` and `cache_to` of a build as the engine takes them: folders of this machine are found here, the rest is the engine's. */
import { TscomposeError, errorMessage, isTscomposeError } from "../errors.ts";
import type { BuildRequest } from "./build-request.ts";
import type { ComposeContext, LocalFolder } from "./context.ts";

export interface CacheText {
  readonly text: string;
  readonly folder?: LocalFolder;
}

interface Caches {
  readonly cacheFrom: readonly CacheText[];
  readonly cacheTo: readonly CacheText[];
}

/** The folder of `type=local,src=FOLDER`; undefined: it is of another type. */
function folderIn(text: string, key: "src" | "dest"): string | undefined {
  const fields = text.split(",").map((field) => field.trim().replace(/^"|"$/g, ""));
  if (!fields.includes("type=local")) return undefined;
  return fields.find((field) => field.startsWith(`${key}=`))?.slice(key.length + 1);
}

/** A source that is not there is a warning, as one that cannot be reached. What is exported to is made.
 *  @throws request/unsupported for a folder and an engine on another machine */
export function cachesFor(
  context: ComposeContext,
  service: string,
  { request, local }: { readonly request: BuildRequest; readonly local: boolean },
): Caches {
  const found = (text: string, key: "src" | "dest"): readonly CacheText[] => {
    const directory = folderIn(text, key);
    if (directory === undefined) return [{ text }];
    if (!local)
      throw new TscomposeError(
        "request/unsupported",
        `service ${service}: ${key === "src" ? "cache_from" : "cache_to"} ${text} is for an engine on this machine`,
        { hint: "use type=registry" },
      );
    try {
      return [{ text, folder: key === "src" ? context.localFolder(directory) : context.newFolder(directory) }];
    } catch (error) {
      if (key === "dest" || !isTscomposeError(error)) throw error;
      context.onWarning(`service ${service}: the build cache ${directory} is not used: ${errorMessage(error)}`);
      return [];
    }
  };
  return {
    cacheFrom: request.cacheFrom.flatMap((text) => found(text, "src")),
    cacheTo: request.cacheTo.flatMap((text) => found(text, "dest")),
  };
}

/** What Docker's own engine takes of it over its classic request: images to look into. */
export function classicCaches(
  context: ComposeContext,
  service: string,
  { cacheFrom, cacheTo }: BuildRequest,
): Readonly<Record<string, string>> {
  const images = cacheFrom.filter((text) => !text.includes("="));
  if (images.length < cacheFrom.length + cacheTo.length)
    context.onWarning(`service ${service}: this engine takes only images in cache_from, and no cache_to`);
  return images.length === 0 ? {} : { cachefrom: JSON.stringify(images) };
}

/** Registries that caches are in: their credentials go along. */
export function cacheRegistries({ cacheFrom, cacheTo }: BuildRequest): readonly string[] {
  return [...cacheFrom, ...cacheTo].flatMap((text) => {
    if (!text.includes("=")) return [text];
    const ref = /(?:^|,)"?ref=([^,"]+)/.exec(text)?.[1];
    return ref === undefined ? [] : [ref];
  });
}
