import { TscomposeError } from "../errors.ts";
import { imageName } from "../planner/names.ts";
import type { ObservedImage } from "../planner/observed.ts";
import type { Project, Service } from "../spec/model.ts";

/** `policy`: what each service says (`pull_policy`). */
export type PullOverride = "policy" | "always" | "missing" | "never" | "build";

export interface ImageNeed {
  readonly reference: string;
  readonly services: readonly string[];
  readonly action: "none" | "pull" | "build";
  /** For a pull of one that could also be built or is there already: failing is not the end. */
  readonly optional: boolean;
  readonly platform: string | undefined;
}

/** Every image the project needs, once, and what has to be done to have it. Pure.
 *  Source: docker/compose `pull.go`, mustPull; compose-semantics.md section 18.
 *  @throws image/not-found for one that is missing and must not be pulled. */
export function imagesNeeded(
  project: Project,
  images: ReadonlyMap<string, ObservedImage>,
  options: { readonly pull: PullOverride; readonly build: "missing" | "always" | "never"; readonly nowMs: number },
): readonly ImageNeed[] {
  const needs = new Map<string, ImageNeed>();
  for (const [name, spec] of Object.entries(project.services)) {
    if (spec.provider !== undefined) continue;
    const reference = imageName(project, name, spec);
    const known = needs.get(reference);
    const action = actionFor(spec, images.get(reference), options);
    const stronger = known === undefined || rank[action] > rank[known.action] ? action : known.action;
    needs.set(reference, {
      reference,
      services: [...(known?.services ?? []), name],
      action: stronger,
      optional: spec.build !== undefined,
      platform: spec.platform ?? known?.platform,
    });
  }
  for (const reference of [...mountedImages(project), ...hookImages(project)]) {
    if (needs.has(reference)) continue;
    const action = images.has(reference) ? "none" : "pull";
    needs.set(reference, { reference, services: [], action, optional: false, platform: undefined });
  }
  return [...needs.values()];
}

const rank = { none: 0, pull: 1, build: 2 } as const;

function mountedImages(project: Project): readonly string[] {
  const volumes = Object.values(project.services).flatMap((spec) => spec.volumes ?? []);
  return volumes.filter(({ type }) => type === "image").map(({ source = "" }) => source);
}

/** Of `pre_start` hooks that name one. */
function hookImages(project: Project): readonly string[] {
  const hooks = Object.values(project.services).flatMap((spec) => spec.pre_start ?? []);
  return [...new Set(hooks.flatMap(({ image }) => image ?? []))];
}

/** References of `imagesNeeded`, before it is known which are there. */
export function imageReferences(project: Project): readonly string[] {
  const own = Object.entries(project.services)
    .filter(([, spec]) => spec.provider === undefined)
    .map(([name, spec]) => imageName(project, name, spec));
  return [...new Set([...own, ...mountedImages(project), ...hookImages(project)])];
}

function actionFor(
  spec: Service,
  image: ObservedImage | undefined,
  {
    pull,
    build,
    nowMs,
  }: { readonly pull: PullOverride; readonly build: "missing" | "always" | "never"; readonly nowMs: number },
): ImageNeed["action"] {
  const policy = pull === "policy" ? (spec.pull_policy ?? "missing") : pull;
  const buildable = spec.build !== undefined;
  if (buildable && (build === "always" || policy === "build"))
    return build === "never" && image !== undefined ? "none" : "build";
  if (spec.image !== undefined && (policy === "always" || isStale(policy, image, nowMs))) return "pull";
  if (image !== undefined) return "none";
  if (buildable && (spec.image === undefined || policy === "never")) {
    if (build !== "never") return "build";
    throw missing(spec.image ?? "its image", "it has to be built, and building is switched off");
  }
  if (policy === "never") throw missing(spec.image ?? "", "it is not on this engine, and its pull policy is never");
  return "pull";
}

function missing(reference: string, why: string): TscomposeError {
  return new TscomposeError("image/not-found", `image ${reference}: ${why}`, {
    hint: "pull, build or load it first",
  });
}

const windows: Readonly<Record<string, number>> = { daily: 24 * 3600e3, weekly: 7 * 24 * 3600e3 };
const unitMs: Readonly<Record<string, number>> = { w: 7 * 24 * 3600e3, d: 24 * 3600e3, h: 3600e3, m: 60e3, s: 1e3 };

/** `daily`, `weekly`, `every_2d12h`: older than that since it was last tagged. */
function isStale(policy: string, image: ObservedImage | undefined, nowMs: number): boolean {
  const every = policy.startsWith("every_") ? [...policy.slice(6).matchAll(/(\d+)([wdhms])/g)] : [];
  const windowMs =
    windows[policy] ?? every.reduce((total, [, value, unit]) => total + Number(value) * (unitMs[unit ?? ""] ?? 0), 0);
  if (windowMs === 0 || image === undefined) return false;
  return nowMs - Date.parse(image.inspect.Metadata.LastTagTime) > windowMs;
}
