/** Platforms: `os/arch[/variant]`, and which entry of a manifest list is ours. Pure.
 *  Source: OCI image-spec image-index.md; containerd platforms (normalisation, order of preference). */
import { TscomposeError } from "../../errors.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

const architectures: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  x64: "amd64",
  aarch64: "arm64",
  i386: "386",
  ia32: "386",
  armhf: "arm",
  armel: "arm",
};

/** @param nodeArch `process.arch` */
export function hostPlatform(nodeArch: string): Platform {
  return normalise({ os: "linux", architecture: nodeArch, variant: undefined });
}

/** `linux/arm64/v8`, `linux/amd64`, `arm64`.
 *  @throws request/invalid */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.toLowerCase().split("/");
  if (parts.length > 3 || !parts.every((part) => /^[a-z0-9_.-]+$/.test(part))) {
    throw new TscomposeError("request/invalid", `"${text}" is an invalid platform`, {
      hint: "write a platform as os/architecture[/variant], for example linux/arm64",
    });
  }
  const [first = "", second, variant] = parts;
  if (second !== undefined) return normalise({ os: first, architecture: second, variant });
  return first === "linux"
    ? { ...host, os: first }
    : normalise({ os: host.os, architecture: first, variant: undefined });
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined ? "" : `/${variant}`}`;
}

/** One spelling of each: `aarch64` -> `arm64`, `arm64/v8` -> `arm64`, `armhf` -> `arm/v7`. */
export function normalise({ os, architecture, variant }: Platform): Platform {
  const arch = architectures[architecture.toLowerCase()] ?? architecture.toLowerCase();
  const wanted = variant === "" ? undefined : variant?.toLowerCase();
  if (arch === "arm64")
    return { os, architecture: arch, variant: wanted === "v8" || wanted === "8" ? undefined : wanted };
  if (arch === "amd64") return { os, architecture: arch, variant: wanted === "v1" ? undefined : wanted };
  if (arch !== "arm") return { os, architecture: arch, variant: wanted };
  if (architecture === "armel") return { os, architecture: arch, variant: "v6" };
  return { os, architecture: arch, variant: wanted === undefined ? "v7" : `v${wanted.replace(/^v/, "")}` };
}

/** Platforms that run where `wanted` does, best first. */
function accepted(wanted: Platform): readonly Platform[] {
  const level = /^v(\d+)$/.exec(wanted.variant ?? "");
  if (level === null || (wanted.architecture !== "arm" && wanted.architecture !== "amd64")) {
    return wanted.variant === undefined ? [wanted] : [wanted, { ...wanted, variant: undefined }];
  }
  const lowest = wanted.architecture === "arm" ? 5 : 1;
  const lower: Platform[] = [];
  for (let n = Number(level[1]); n >= lowest; n--) lower.push(normalise({ ...wanted, variant: `v${n}` }));
  return lower;
}

/** The best of `items` for `wanted`; among equals the first. An item without a platform is taken for no platform. */
export function choosePlatform<T extends { readonly platform: Platform | undefined }>(
  items: readonly T[],
  wanted: Platform,
): T | undefined {
  for (const platform of accepted(wanted)) {
    const name = formatPlatform(platform);
    const found = items.find(
      (item) => item.platform !== undefined && formatPlatform(normalise(item.platform)) === name,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}
