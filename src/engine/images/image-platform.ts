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

/** @param platform undefined or empty: any
 *  @throws image/not-found, request/invalid for what is no platform */
export function assertPlatform<T extends { readonly config: OciImageConfig }>(
  image: T,
  ref: string,
  { platform, host }: { readonly platform: string | undefined; readonly host: Platform },
): T {
  if (platform === undefined || platform === "") return image;
  const wanted = parsePlatform(platform, host);
  if (runsAs(image.config, wanted)) return image;
  throw new TscomposeError(
    "image/not-found",
    `image with reference ${ref} was found but does not provide the specified platform (${formatPlatform(wanted)})`,
    { hint: `it is for ${formatPlatform(platformOf(image.config))}: pull the other with --platform` },
  );
}
