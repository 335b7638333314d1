/** One Dockerfile for several platforms: a build of its own for each, and one name for all. */
import { TscomposeError } from "../../errors.ts";
import { parsePlatform, type Platform } from "../images/platform.ts";
import type { BuildEvent } from "./solve/events.ts";
import { PlatformEvents } from "./solve/platform-events.ts";
import type { BuildRequest } from "./types.ts";

export interface PlatformBuild {
  /** Undefined: this machine's, and what base images of another one may be. */
  readonly platform: Platform | undefined;
  readonly tags: readonly string[];
  readonly emit: (event: BuildEvent) => void;
}

/** None: this machine's. @throws request/unsupported for what gives one result only */
export function platformsOf(
  { platform = "", takeFiles, keepImage, cacheTo }: BuildRequest,
  host: Platform,
): readonly Platform[] {
  const names = [...new Set(platform.split(",").filter((name) => name !== ""))];
  if (names.length > 1 && (takeFiles !== undefined || keepImage === false || cacheTo.length > 0))
    throw new TscomposeError("request/unsupported", `a build for ${names.join(", ")} gives an image and nothing else`, {
      hint: "export files and caches of one platform at a time",
    });
  return names.map((name) => parsePlatform(name, host));
}

/** One after the other: what they have in common is then in the cache. A check looks at the first.
 *  @returns the id of the image that has the tags */
export async function buildPlatforms(
  { check, onlyTargets }: Pick<BuildRequest, "check" | "onlyTargets">,
  { platforms, tags, emit }: Omit<PlatformBuild, "platform"> & { readonly platforms: readonly Platform[] },
  steps: {
    readonly build: (one: PlatformBuild) => Promise<string>;
    readonly join: (ids: readonly string[]) => string;
    /** @returns what takes images away that came after this call */
    readonly remember: () => (ids: readonly string[]) => void;
  },
): Promise<string> {
  const [platform, ...others] = platforms;
  if (others.length === 0 || check || onlyTargets === true) return await steps.build({ platform, tags, emit });
  const events = new PlatformEvents(emit);
  const ids: string[] = [];
  const discard = steps.remember();
  try {
    for (const one of platforms) ids.push(await steps.build({ platform: one, tags: [], emit: events.of(one) }));
  } catch (error) {
    discard(ids);
    throw error;
  }
  const imageId = steps.join(ids);
  emit({ kind: "done", imageId, tags });
  return imageId;
}
