/** The image configuration while a stage is being read: one change an instruction, and its line of history. */
import type { ContainerConfig, OciHistory, OciImageConfig } from "../../types.ts";
import type { Platform } from "../../images/platform.ts";

export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Without `rootfs`, which is known when the layers are made. */
export interface ImageDraft {
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config: ContainerConfig;
  /** `empty_layer` absent: the entry stands for one layer. */
  readonly history: readonly OciHistory[];
}

export function emptyDraft(platform: Platform): ImageDraft {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: { Env: [`PATH=${defaultPath}`], WorkingDir: "/" },
    history: [],
  };
}

export function draftFrom(image: OciImageConfig): ImageDraft {
  return {
    ...(image.author === undefined ? {} : { author: image.author }),
    architecture: image.architecture,
    os: image.os,
    ...(image.variant === undefined ? {} : { variant: image.variant }),
    config: image.config ?? {},
    history: image.history ?? [],
  };
}

/** Changes the configuration; keys set to undefined are taken out. */
export function withConfig(
  draft: ImageDraft,
  changes: { readonly [K in keyof ContainerConfig]?: ContainerConfig[K] | undefined },
): ImageDraft {
  const merged = Object.entries({ ...draft.config, ...changes }).filter(([, value]) => value !== undefined);
  return { ...draft, config: Object.fromEntries(merged) };
}

export function withHistory(draft: ImageDraft, createdBy: string, layer: "layer" | "no-layer"): ImageDraft {
  const entry: OciHistory = {
    created_by: createdBy,
    comment: "buildkit.dockerfile.v0",
    ...(layer === "layer" ? {} : { empty_layer: true }),
  };
  return { ...draft, history: [...draft.history, entry] };
}

/** `NAME=value` set in a list: in its place where the name is there, else at the end. */
export function setEnv(env: readonly string[], name: string, value: string): readonly string[] {
  const entry = `${name}=${value}`;
  const at = env.findIndex((item) => item === name || item.startsWith(`${name}=`));
  return at < 0 ? [...env, entry] : env.with(at, entry);
}

export function envPairs(env: readonly string[]): readonly (readonly [name: string, value: string])[] {
  return env.map((entry) => {
    const at = entry.indexOf("=");
    return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
  });
}
