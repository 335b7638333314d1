import { TscomposeError } from "../errors.ts";
import { executePlan } from "../planner/execute.ts";
import type { ReconcileOptions } from "../planner/options.ts";
import type { ObservedState } from "../planner/observed.ts";
import { observe, observeImages, withInspects } from "../planner/observe.ts";
import { createPerformer } from "../planner/perform.ts";
import type { Plan } from "../planner/plan.ts";
import { type Reconciled, reconcile } from "../planner/reconcile.ts";
import { createContainerWatch } from "../planner/wait.ts";
import type { Project } from "../spec/model.ts";

import type { ComposeContext } from "./context.ts";
import { type ImageNeed, imageReferences, imagesNeeded, type PullOverride } from "./images-needed.ts";
import { Notes } from "./notes.ts";
import { pullImage } from "./pull-image.ts";
import { readSeccompProfiles } from "./seccomp-profiles.ts";

export interface ConvergeOptions {
  readonly reconcile: ReconcileOptions;
  readonly pull: PullOverride;
  readonly build: "missing" | "always" | "never";
  /** Tells of layers, not only of images. */
  readonly layerProgress: boolean;
  /** `--yes`: as if asked and agreed. */
  readonly assumeYes: boolean;
  /** Seconds; undefined: no limit. For the conditions of `depends_on` and `--wait`. */
  readonly waitTimeoutSeconds: number | undefined;
}

/** Brings the engine to what the project says. What is so already is left alone: then no lock is taken and nothing is called but
 *  the lists. */
export async function converge(
  context: ComposeContext,
  project: Project,
  options: ConvergeOptions,
): Promise<Reconciled> {
  const first = await look(context, project, options);
  if (first.reconciled.plan.nodes.length === 0) {
    tellWarnings(context, first.reconciled);
    tellKept(context, first.reconciled);
    return first.reconciled;
  }
  const release = await context.lockProject(project.name, context.signal);
  try {
    // Whoever had the lock before us may have changed everything.
    const { observed, reconciled } = await agreed(context, project, options);
    tellWarnings(context, reconciled);
    tellKept(context, reconciled);
    await carryOut(context, { project, observed, plan: reconciled.plan, options });
    return reconciled;
  } finally {
    release();
  }
}

/** The plan that `converge` would carry out, with missing images taken as they will be pulled. Changes nothing. */
export async function planConverge(
  context: ComposeContext,
  project: Project,
  options: ConvergeOptions,
): Promise<{ readonly needs: readonly ImageNeed[]; readonly reconciled: Reconciled }> {
  const observed = await observe(context.docker, request(context, project));
  const needs = imagesNeeded(project, observed.images, { ...options, nowMs: Date.now() });
  return { needs, reconciled: (await explain(context, project, { observed, options: options.reconcile })).reconciled };
}

interface Looked {
  readonly observed: ObservedState;
  readonly reconciled: Reconciled;
}

function request(context: ComposeContext, project: Project): Parameters<typeof observe>[1] {
  return { project: project.name, images: imageReferences(project), signal: context.signal };
}

async function look(context: ComposeContext, project: Project, options: ConvergeOptions): Promise<Looked> {
  const observed = await withImages(context, project, options);
  return { observed, reconciled: reconcile(project, observed, options.reconcile) };
}

/** Pulls first: what a container diverges from is the image that it would be made from. */
async function withImages(context: ComposeContext, project: Project, options: ConvergeOptions): Promise<ObservedState> {
  const observed = await observe(context.docker, request(context, project));
  const needs = imagesNeeded(project, observed.images, { ...options, nowMs: Date.now() });
  const open = needs.filter(({ action }) => action !== "none");
  if (open.length === 0) return observed;
  await provideImages(context, { project, needs: open }, options);
  const references = open.map(({ reference }) => reference);
  const images = new Map([...observed.images, ...(await observeImages(context.docker, references, context.signal))]);
  return { ...observed, images };
}

/** Pulls what is to be pulled and builds what is to be built, all at once. */
export async function provideImages(
  context: ComposeContext,
  { project, needs }: { readonly project: Project; readonly needs: readonly ImageNeed[] },
  options: Pick<ConvergeOptions, "layerProgress">,
): Promise<void> {
  const pulls = needs.filter(({ action }) => action === "pull");
  const builds = needs.filter(({ action }) => action === "build");
  const results = await Promise.allSettled([
    ...(builds.length === 0 ? [] : [buildNeeded(context, project, builds)]),
    ...pulls.map(({ reference, platform }) =>
      pullImage(context, { reference, platform, verbose: options.layerProgress }),
    ),
  ]);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** One service for each image: those that share a name share the build. */
async function buildNeeded(context: ComposeContext, project: Project, needs: readonly ImageNeed[]): Promise<void> {
  const { build, plainBuild } = await import("./build.ts");
  const names = needs.flatMap(({ services }) => {
    const buildable = services.find((name) => project.services[name]?.build !== undefined);
    return buildable === undefined ? [] : [buildable];
  });
  const services = Object.fromEntries(Object.entries(project.services).filter(([name]) => names.includes(name)));
  await build(context, { ...project, services }, plainBuild);
}

async function agreed(context: ComposeContext, project: Project, options: ConvergeOptions): Promise<Looked> {
  const observed = await observe(context.docker, request(context, project));
  const looked = await explain(context, project, { observed, options: options.reconcile });
  const replaceVolumes = new Set<string>();
  for (const { key, name } of looked.reconciled.confirmations) {
    const question = `Volume "${name}" exists but doesn't match configuration in compose file. Recreate (data will be lost)?`;
    if (options.assumeYes || (await context.confirm(question))) replaceVolumes.add(key);
  }
  if (replaceVolumes.size === 0) return looked;
  return { ...looked, reconciled: reconcile(project, looked.observed, { ...options.reconcile, replaceVolumes }) };
}

/** Looks closer at the containers that are to be replaced, so that the plan says what is different about them. */
async function explain(
  context: ComposeContext,
  project: Project,
  { observed, options }: { readonly observed: ObservedState; readonly options: ReconcileOptions },
): Promise<Looked> {
  const reconciled = reconcile(project, observed, options);
  const diverged = new Set(
    reconciled.plan.nodes.flatMap(({ operation, group }) =>
      operation.kind === "remove-container" && group !== undefined && operation.container.kind === "existing"
        ? [operation.container.id]
        : [],
    ),
  );
  if (diverged.size === 0 || options.recreate === "always") return { observed, reconciled };
  const closer = await withInspects(context.docker, observed, diverged, context.signal);
  return { observed: closer, reconciled: reconcile(project, closer, options) };
}

async function carryOut(
  context: ComposeContext,
  {
    project,
    observed,
    plan,
    options,
  }: {
    readonly project: Project;
    readonly observed: ObservedState;
    readonly plan: Plan;
    readonly options: ConvergeOptions;
  },
): Promise<void> {
  const watch = createContainerWatch(context.docker, project.name);
  if (plan.nodes.some(({ operation }) => operation.kind === "wait-service")) watch.prepare();
  const notes = new Notes();
  const limit = waitLimit(context.signal, options.waitTimeoutSeconds);
  try {
    const perform = createPerformer({
      docker: context.docker,
      project,
      images: observed.images,
      profiles: await readSeccompProfiles(project),
      watch,
      onNote: notes.add,
    });
    await executePlan(plan, {
      perform,
      signal: limit.signal,
      concurrency: context.concurrency,
      onFailure: "stop",
      onProgress: context.onProgress,
    });
  } catch (error) {
    throw limit.reached() ? notHealthy(options.waitTimeoutSeconds ?? 0, error) : error;
  } finally {
    limit.clear();
    watch.close();
    notes.tell(context.onWarning);
  }
}

function notHealthy(seconds: number, cause: unknown): TscomposeError {
  return new TscomposeError("compose/failed", `application not healthy after ${seconds}s`, {
    hint: "see which service is not: tscompose ps -a",
    cause,
  });
}

/** The caller's signal, and the end of the time to wait. */
function waitLimit(
  signal: AbortSignal,
  seconds: number | undefined,
): { readonly signal: AbortSignal; reached(): boolean; clear(): void } {
  if (seconds === undefined) return { signal, reached: () => false, clear: () => undefined };
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), seconds * 1000);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    reached: () => controller.signal.aborted && !signal.aborted,
    clear: () => clearTimeout(timer),
  };
}

function tellWarnings(context: ComposeContext, { warnings }: Reconciled): void {
  for (const warning of warnings) context.onWarning(warning);
}

function tellKept(context: ComposeContext, { kept }: Reconciled): void {
  for (const name of kept) context.onProgress({ kind: "Container", name, status: "done", text: "Running" });
}
