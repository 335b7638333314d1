/** The ARGs that exist without being declared: build and target platform, and the proxies. */
import { formatPlatform } from "../../images/platform.ts";
import type { Platform } from "../../images/platform.ts";

/** Values before the first FROM; a build argument of the same name wins. */
export function platformArgs(options: {
  readonly build: Platform;
  readonly target: Platform;
  readonly targetStage: string;
  readonly overrides: Readonly<Record<string, string>>;
}): Map<string, string> {
  const { build, target, targetStage, overrides } = options;
  const defaults: Readonly<Record<string, string>> = {
    BUILDPLATFORM: formatPlatform(build),
    BUILDOS: build.os,
    BUILDOSVERSION: "",
    BUILDARCH: build.architecture,
    BUILDVARIANT: build.variant ?? "",
    TARGETPLATFORM: formatPlatform(target),
    TARGETOS: target.os,
    TARGETOSVERSION: "",
    TARGETARCH: target.architecture,
    TARGETVARIANT: target.variant ?? "",
    TARGETSTAGE: targetStage === "" ? "default" : targetStage,
  };
  return new Map(
    Object.entries(defaults).map(([key, value]) => [
      key,
      Object.hasOwn(overrides, key) ? (overrides[key] ?? "") : value,
    ]),
  );
}

const proxyNames = new Set(["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"]);

/** Build arguments that RUN gets without an ARG, in both cases of letters. They are no part of a step's content key, and
 *  are not recorded in the image. */
export function proxyEnvironment(buildArgs: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(buildArgs)
    .filter(([key]) => proxyNames.has(key.toLowerCase()))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, value]) => [`${key.toUpperCase()}=${value}`, `${key.toLowerCase()}=${value}`]);
}
