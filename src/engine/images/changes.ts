/** `--change` of commit and import: Dockerfile instructions applied to a configuration, by the build's own front end. */
import { TscomposeError } from "../../errors.ts";
import type { ContainerConfig } from "../types.ts";
import type { Platform } from "./platform.ts";

/** Those that change nothing but the configuration. Source: Docker Engine, builder/dockerfile BuildFromConfig. */
const allowed = [
  "CMD",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "HEALTHCHECK",
  "LABEL",
  "ONBUILD",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
];

/** @throws request/invalid for another instruction, build/invalid for one that is wrong */
export async function configWithChanges(
  base: ContainerConfig,
  changes: readonly string[],
  platform: Platform,
): Promise<ContainerConfig> {
  const lines = changes.flatMap((change) => change.split("\n")).filter((line) => line.trim() !== "");
  if (lines.length === 0) return base;
  for (const line of lines) {
    const name = /^\s*([A-Za-z]+)/.exec(line)?.[1]?.toUpperCase() ?? line;
    if (!allowed.includes(name)) {
      throw new TscomposeError("request/invalid", `${name} is not a valid change command`, {
        hint: `use ${allowed.join(", ")}`,
      });
    }
  }
  const { planBuild } = await import("../build/plan/plan-build.ts");
  const { architecture, os, variant } = platform;
  const image = { name: "base", id: `sha256:${"0".repeat(64)}`, platform };
  const config = {
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: base,
    rootfs: { type: "layers" as const, diff_ids: [] },
  };
  const plan = await planBuild(
    ["FROM base", ...lines].join("\n"),
    {
      target: undefined,
      buildArgs: {},
      labels: {},
      platform: undefined,
      buildPlatform: platform,
      namedContexts: { base: { kind: "resolved", image: { image, config } } },
      ignorePatterns: [],
      noCache: "none",
      network: "default",
      cacheNamespace: "",
    },
    { resolveImage: () => Promise.reject(new TscomposeError("image/not-found", "a change cannot name an image")) },
  );
  return withoutBuildDefaults(base, lines, plan.image.config);
}

/** A build gives every image a PATH and notes that its arguments are escaped; a change does not. */
function withoutBuildDefaults(
  base: ContainerConfig,
  lines: readonly string[],
  built: ContainerConfig,
): ContainerConfig {
  const { ArgsEscaped: _, ...rest } = built;
  const config = base.ArgsEscaped === undefined ? rest : { ...rest, ArgsEscaped: base.ArgsEscaped };
  const had = (base.Env ?? []).some((entry) => entry.startsWith("PATH="));
  if (had || lines.some((line) => /^\s*env\s+PATH[=\s]/i.test(line))) return config;
  return { ...config, Env: (config.Env ?? []).filter((entry) => !entry.startsWith("PATH=")) };
}
