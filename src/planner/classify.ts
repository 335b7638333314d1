import type { Project, Service } from "../spec/model.ts";

import { describeDrift } from "./drift.ts";
import { label } from "./labels.ts";
import { imageName } from "./names.ts";
import { isUp, type ReconcileContext } from "./reconcile-context.ts";
import type { ObservedContainer } from "./observed.ts";
import type { RecreatePolicy } from "./options.ts";

/** What is to become of one container of a service; each container gets exactly one. */
export type Verdict =
  | { readonly kind: "keep" }
  | { readonly kind: "recreate"; readonly cause: string }
  | { readonly kind: "excess" }
  /** Taken away already so that a volume could be replaced. */
  | { readonly kind: "evicted" };

export interface Classified {
  readonly container: ObservedContainer;
  readonly verdict: Verdict;
}

export interface ServiceFacts {
  readonly service: string;
  readonly spec: Service;
  readonly replicas: number;
  readonly policy: RecreatePolicy;
  /** Of the service with its references to other services resolved to the containers that are there now. */
  readonly expectedHash: string;
  /** A service whose namespace or volumes it shares, and that is recreated by this plan. */
  readonly recreatedParent: string | undefined;
}

/** In the order in which they would be given up last: up-to-date before obsolete, then low numbers before high ones. */
export function classify(context: ReconcileContext, facts: ServiceFacts): readonly Classified[] {
  const own = context.observed.containers.filter((one) => !one.oneoff && one.service === facts.service);
  const judged = own.map((container): Judged => ({ container, cause: recreateCause(context, facts, container) }));
  const losers = supersededOf(judged);
  const ordered = judged.toSorted(
    (a, b) =>
      Number(losers.has(a.container.id)) - Number(losers.has(b.container.id)) ||
      Number(a.cause !== undefined) - Number(b.cause !== undefined) ||
      a.container.number - b.container.number ||
      b.container.created - a.container.created ||
      (a.container.name < b.container.name ? -1 : 1),
  );
  return ordered.map(({ container, cause }, index): Classified => {
    if (context.evictions.has(container.id)) return { container, verdict: { kind: "evicted" } };
    if (losers.has(container.id) || index >= facts.replicas) return { container, verdict: { kind: "excess" } };
    return { container, verdict: cause === undefined ? { kind: "keep" } : { kind: "recreate", cause } };
  });
}

interface Judged {
  readonly container: ObservedContainer;
  /** Why it would have to be recreated. */
  readonly cause: string | undefined;
}

/** Of each container and the replacement that an interrupted recreation left beside it, the one to give up: the replacement
 *  only takes over where it is what is wanted and the other is not. */
function supersededOf(judged: readonly Judged[]): ReadonlySet<string> {
  const losers = new Set<string>();
  for (const replacement of judged) {
    const [, id] = /^([0-9a-f]{12})_/.exec(replacement.container.name) ?? [];
    const original = id === undefined ? undefined : judged.find(({ container }) => container.id.startsWith(id));
    if (original === undefined || original === replacement) continue;
    const takesOver = replacement.cause === undefined && original.cause !== undefined;
    losers.add((takesOver ? original : replacement).container.id);
  }
  return losers;
}

/** Undefined: it is as it should be. */
function recreateCause(
  context: ReconcileContext,
  facts: ServiceFacts,
  container: ObservedContainer,
): string | undefined {
  if (facts.policy === "never") return undefined;
  if (facts.policy === "always") return "forced";
  if (facts.recreatedParent !== undefined) return `${facts.recreatedParent} is recreated`;
  const { project, observed } = context;
  const reference = imageName(project, facts.service, facts.spec);
  const image = observed.images.get(reference);
  if (container.configHash !== facts.expectedHash) {
    return describeDrift({ project, service: facts.service, spec: facts.spec, container, image });
  }
  // One that was made without the label (by an older Docker Compose) counts as made from another image, as there.
  if (image !== undefined && container.imageDigest !== image.digest) return `image ${reference} changed`;
  if (container.imageVolumeDigest !== imageVolumeDigest(project, facts.spec, observed.images))
    return "a mounted image changed";
  return networkCause(context, facts.spec, container) ?? volumeCause(context, facts.spec, container);
}

function networkCause(context: ReconcileContext, spec: Service, container: ObservedContainer): string | undefined {
  for (const key of Object.keys(spec.networks ?? {}).toSorted()) {
    const live = context.networks.get(key)?.live;
    // A container keeps the id of the network it was started on; when that one is gone it cannot start again.
    if (live === undefined && !context.reconnects.has(container.id)) return `network ${key} is new`;
    const attached = live === undefined || container.networks.some(({ id }) => id === live.id);
    if (!attached && isUp(container)) return `not on network ${live.name}`;
  }
  return undefined;
}

function volumeCause(context: ReconcileContext, spec: Service, container: ObservedContainer): string | undefined {
  for (const { type, source } of spec.volumes ?? []) {
    const name = type === "volume" && source !== undefined ? context.volumes.get(source)?.name : undefined;
    if (name === undefined) continue;
    const mounted = container.mounts.some((mount) => mount.Type === "volume" && mount.Name === name);
    if (!mounted) return `volume ${name} is not mounted`;
  }
  return undefined;
}

/** `target=digest` of the images a service mounts, in order; undefined: none. */
export function imageVolumeDigest(
  _project: Project,
  spec: Service,
  images: ReadonlyMap<string, { readonly digest: string }>,
): string | undefined {
  const parts = (spec.volumes ?? [])
    .filter(({ type }) => type === "image")
    .map(({ source, target }) => `${target ?? ""}=${images.get(source ?? "")?.digest ?? ""}`);
  return parts.length === 0 ? undefined : parts.join(",");
}

/** Labels that say which image a container was made from. */
export function imageLabels(
  project: Project,
  service: string,
  spec: Service,
  images: ReadonlyMap<string, { readonly digest: string }>,
): Readonly<Record<string, string>> {
  const digest = images.get(imageName(project, service, spec))?.digest;
  const mounted = imageVolumeDigest(project, spec, images);
  return {
    ...(digest === undefined ? {} : { [label.image]: digest }),
    ...(mounted === undefined ? {} : { [label.imageVolumeDigest]: mounted }),
  };
}
