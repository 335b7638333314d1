/** The content key of a step: a digest of everything that its result depends on. Pure. */
import { createHash } from "node:crypto";
import type { CopyAction, Source, Step, StepMount } from "../plan/steps.ts";

/** Raise it when a step comes to mean something else: old results are then no longer found. */
const keyVersion = 2;

/** What stands for a source: the chain id of its files, or a digest of those that are read. */
export type SourceKey = (source: Source, use: SourceUse) => string;

export type SourceUse =
  | { readonly kind: "parent" }
  | { readonly kind: "mount"; readonly path: string }
  | { readonly kind: "copy"; readonly action: CopyAction };

export interface KeyFacts {
  readonly platform: string;
  readonly extraHosts: readonly string[];
  /** Limits of RUN, as text; they can change what a program does. */
  readonly limits: string;
  readonly epochSeconds: number | undefined;
  readonly sourceKey: SourceKey;
}

function mountParts(mount: StepMount, facts: KeyFacts): unknown {
  const { type, sourcePath, target, readonly, sizeBytes, cache } = mount;
  return {
    type,
    sourcePath,
    target,
    readonly,
    sizeBytes,
    cache,
    source: type === "tmpfs" ? "" : facts.sourceKey(mount.source, { kind: "mount", path: sourcePath }),
  };
}

function actionParts(action: CopyAction, facts: KeyFacts): unknown {
  const { destination, chown, mode, exclude, unpack, origin } = action;
  const from =
    origin.kind === "files"
      ? { path: origin.path, include: origin.include, files: facts.sourceKey(origin.source, { kind: "copy", action }) }
      : origin.kind === "inline"
        ? origin
        : { ...origin, fetched: facts.sourceKey({ kind: "scratch" }, { kind: "copy", action }) };
  return { destination, chown, mode: mode?.kind === "symbolic" ? mode.text : mode?.mode, exclude, unpack, from };
}

function operation(step: Step, facts: KeyFacts): unknown {
  if (step.kind === "mkdir") return { path: step.path, user: step.user };
  if (step.kind === "copy")
    return { link: step.link, actions: step.actions.map((action) => actionParts(action, facts)) };
  const { args, env, cwd, user, network, security, script } = step;
  return {
    args,
    env,
    cwd,
    user,
    network,
    security,
    script,
    mounts: step.mounts.map((mount) => mountParts(mount, facts)),
    // Their names, never what is in them.
    secrets: step.secrets,
    ssh: step.ssh,
    extraHosts: facts.extraHosts,
    limits: facts.limits,
  };
}

/** Hex. */
export function contentKey(step: Step, facts: KeyFacts): string {
  const { kind } = step;
  const parts = {
    keyVersion,
    kind,
    platform: facts.platform,
    epoch: facts.epochSeconds ?? "",
    parent: facts.sourceKey(step.parent, { kind: "parent" }),
    operation: operation(step, facts),
  };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
