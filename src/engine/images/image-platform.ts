/** The platform of an image of the store, and whether it is the one that was asked for. Pure. */
import { TscomposeError } from "../../errors.ts";
import type { OciImageConfig } from "../types.ts";
import { choosePlatform, formatPlatform, normalise, parsePlatform, type Platform } from "./platform.ts";

export function platformOf({ os, architecture, variant }: OciImageConfig): Platform {
  return normalise({ os, architecture, variant });
}

export function runsAs(config: OciImageConfig, wanted: Platform): boolean {
  return choosePlatform([{ platform: platformOf(config) }], wanted) !== undefined;
}

/** @param images the one that has the name first, then its other platforms
 *  @param platform undefined or empty: the first
 *  @throws image/not-found, request/invalid for what is no platform */
export function pickPlatform<T extends { readonly config: OciImageConfig }>(
  images: readonly T[],
  ref: string,
  { platform, host }: { readonly platform: string | undefined; readonly host: Platform },
): T {
  const [first] = images;
  if (first === undefined) throw new TscomposeError("image/not-found", `No such image: ${ref}`);
  if (platform === undefined || platform === "") return first;
  const wanted = parsePlatform(platform, host);
  const items = images.map((image) => ({ image, platform: platformOf(image.config) }));
  const found = choosePlatform(items, wanted);
  if (found !== undefined) return found.image;
  throw new TscomposeError(
    "image/not-found",
    `image with reference ${ref} was found but does not provide the specified platform (${formatPlatform(wanted)})`,
    {
      hint: `it is for ${items.map((item) => formatPlatform(item.platform)).join(", ")}: pull the other with --platform`,
    },
  );
}
