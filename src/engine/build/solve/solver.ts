/** Runs the steps of a plan: each as soon as what it needs is there, each once, none that the cache has. */
import { cpus } from "node:os";
import { TscomposeError, isTscomposeError } from "../../../errors.ts";
import { formatPlatform } from "../../images/platform.ts";
import type { Platform } from "../../images/platform.ts";
import { clampTimes } from "../files/clamp-times.ts";
import { dropUnchanged } from "../files/drop-unchanged.ts";
import type { CopyStep, RunStep, Source, Step, StepMount } from "../plan/steps.ts";
import type { BuildScope, Result } from "./build-context.ts";
import { contentKey } from "./content-key.ts";
import type { KeyFacts, SourceUse } from "./content-key.ts";
import { digestAction, nothingKnown, runCopy, runMkdir } from "./copy-step.ts";
import type { ReadableSource } from "./copy-step.ts";
import { digestSources } from "../files/digest-tree.ts";
import { toBytes } from "../files/tree.ts";
import type { BuildEvent } from "./events.ts";
import { LayerReuse } from "./layer-reuse.ts";
import { runRun } from "./run-step.ts";
import { Recipes } from "./recipes.ts";
import type { CachedResult, CacheUser, StepCache } from "./step-cache.ts";
import type { SolvedStep } from "../cache/export-cache.ts";
import type { ImportedSteps } from "../cache/import-cache.ts";

/** Steps that run now, of all builds of this engine, by content key: the same one wanted twice at once runs once. */
export type RunningSteps = Map<string, Promise<CachedResult>>;

export interface SolveOptions {
  readonly scope: BuildScope;
  readonly steps: readonly Step[];
  readonly cache: StepCache;
  /** Holds on to what it finds and adds. */
  readonly user: CacheUser;
  readonly running: RunningSteps;
  readonly platform: Platform;
  readonly emit: (event: BuildEvent) => void;
  /** Of a RUN step that fails the state before it is kept as an image. */
  readonly keepFailed: boolean;
  /** Results that others had; undefined: neither are there any, nor are recipes wanted for others. */
  readonly imports: ImportedSteps | undefined;
  /** Also steps that only others need which are imported. */
  readonly everyStep: boolean;
}

const scratch: Result = { chainId: undefined, diffIds: [], madeMs: [] };

/** Many more than there are processors: most steps wait, for a network, a disk or a program of their own that does so. */
const maxParallel = Math.max(cpus().length * 4, 16);

export class Solver {
  readonly #options: SolveOptions;
  readonly #results = new Map<number, Promise<Result>>();
  readonly #solved = new Map<number, SolvedStep>();
  readonly #contexts = new Map<string, Promise<Result>>();
  readonly #recipes: Recipes | undefined;
  #active = 0;
  readonly #queue: (() => void)[] = [];

  constructor(options: SolveOptions) {
    this.#options = options;
    const { scope, steps, imports } = options;
    if (imports === undefined) return;
    this.#recipes = new Recipes({
      scope,
      steps,
      facts: this.#facts(),
      open: (source) => this.#open(source, scratch),
      contextChain: async (name) => (await this.#context(name)).chainId ?? "",
      placing,
    });
  }

  /** What the steps so far gave, by their numbers. */
  get solved(): ReadonlyMap<number, SolvedStep> {
    return this.#solved;
  }

  /** The files of a source, made if they have to be. */
  async solve(source: Source): Promise<Result> {
    switch (source.kind) {
      case "scratch":
        return scratch;
      case "image": {
        const image = this.#options.scope.engine.images.resolve(source.image.id);
        return { chainId: image.chainId, diffIds: image.config.rootfs.diff_ids, madeMs: [] };
      }
      case "context":
        return this.#context(source.name);
      case "step":
        return this.#step(source.step);
    }
  }

  #step(id: number): Promise<Result> {
    const known = this.#results.get(id);
    if (known !== undefined) return known;
    const step = this.#options.steps[id];
    if (step === undefined) throw new Error(`no step ${id}`);
    const result = this.#run(step);
    result.catch(() => undefined); // whoever waits for it hears of it
    this.#results.set(id, result);
    return result;
  }

  /** Sources of a step, and their files; all at the same time. */
  async #inputs(step: Step): Promise<ReadonlyMap<Source, Result>> {
    const sources = new Set<Source>([step.parent]);
    if (step.kind === "run") for (const mount of step.mounts) sources.add(mount.source);
    if (step.kind === "copy")
      for (const { origin } of step.actions) if (origin.kind === "files") sources.add(origin.source);
    const results = await Promise.all(
      [...sources].map(async (source): Promise<readonly [Source, Result]> => {
        const isRead = source !== step.parent && source.kind === "context";
        return [source, isRead ? scratch : await this.solve(source)];
      }),
    );
    return new Map(results);
  }

  async #run(step: Step): Promise<Result> {
    const { scope, cache, imports, everyStep } = this.#options;
    const recipe = await this.#recipes?.of(step);
    if (everyStep) await this.#inputs(step);
    const offered = recipe === undefined ? undefined : await this.#offered(step, recipe);
    if (offered !== undefined) return offered;
    const inputs = await this.#inputs(step);
    scope.signal.throwIfAborted();
    const parent = inputs.get(step.parent) ?? scratch;
    const key = await this.#key(step, inputs);
    const keys = recipe === undefined || recipe === key ? [key] : [key, recipe];
    const startedMs = performance.now();
    const cached = step.ignoreCache
      ? undefined
      : (cache.find(key, this.#options.user) ?? (await imports?.take(key, parent.chainId)));
    const finish = (result: CachedResult, fromCache: boolean): Result =>
      this.#finish(step, result, { parent, keys, cached: fromCache, ms: performance.now() - startedMs });
    if (cached !== undefined) return finish(cached, true);
    const other = this.#options.running.get(key);
    if (other !== undefined && !step.ignoreCache) {
      const result = await other.catch(() => undefined);
      if (result !== undefined) return finish(result, true);
    }
    const work = this.#perform(step, key, inputs);
    this.#options.running.set(key, work);
    try {
      return finish(await work, false);
    } finally {
      if (this.#options.running.get(key) === work) this.#options.running.delete(key);
    }
  }

  /** The result that an imported cache has for the recipe: only what is below it is then looked at. */
  async #offered(step: Step, recipe: string): Promise<Result | undefined> {
    const { imports } = this.#options;
    if (step.ignoreCache || imports?.has(recipe) !== true) return undefined;
    const parent = await this.solve(step.parent);
    const startedMs = performance.now();
    const result = await imports.take(recipe, parent.chainId);
    if (result === undefined) return undefined;
    return this.#finish(step, result, {
      parent,
      keys: [recipe],
      cached: true,
      ms: performance.now() - startedMs,
    });
  }

  #finish(
    { id, parent: source }: Step,
    { chainId, diffId, createdMs }: CachedResult,
    about: { readonly parent: Result; readonly keys: readonly string[]; readonly cached: boolean; readonly ms: number },
  ): Result {
    const { parent, keys, cached, ms } = about;
    this.#options.emit({ kind: "finished", step: id, cached, chainId, ms });
    const below = source.kind === "step" ? source.step : undefined;
    this.#solved.set(id, { id, parent: below, keys, diffId, createdMs });
    return { chainId, diffIds: [...parent.diffIds, diffId], madeMs: [...parent.madeMs, createdMs] };
  }

  async #perform(step: Step, key: string, inputs: ReadonlyMap<Source, Result>): Promise<CachedResult> {
    const { cache, emit } = this.#options;
    await this.#turn();
    const startedMs = performance.now();
    try {
      const result = await this.#execute(step, inputs);
      cache.add(key, result, { title: step.source.slice(0, 200), user: this.#options.user });
      return result;
    } catch (error) {
      emit({ kind: "failed", step: step.id, ms: performance.now() - startedMs });
      if (step.kind === "run" && this.#options.keepFailed && isTscomposeError(error, "build/failed"))
        await this.#keep(step, inputs.get(step.parent) ?? scratch);
      throw placed(error, step);
    } finally {
      this.#active -= 1;
      this.#queue.shift()?.();
    }
  }

  async #keep(step: RunStep, parent: Result): Promise<void> {
    const { scope, platform, emit } = this.#options;
    const imageId = await scope.engine.images.commitImage(
      {
        created: new Date().toISOString(),
        architecture: platform.architecture,
        os: platform.os,
        config: { Env: step.env, WorkingDir: step.cwd, User: step.user, Cmd: ["/bin/sh"] },
        rootfs: { type: "layers", diff_ids: parent.diffIds },
        history: [],
      },
      [],
    );
    emit({ kind: "kept", imageId, command: step.args });
  }

  async #turn(): Promise<void> {
    while (this.#active >= maxParallel) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#active += 1;
  }

  async #execute(step: Step, inputs: ReadonlyMap<Source, Result>): Promise<CachedResult> {
    const { scope, emit } = this.#options;
    const { workspace, engine } = scope;
    const parent = inputs.get(step.parent) ?? scratch;
    emit({ kind: "started", step: step.id });
    const open = (source: Source): ReadableSource => this.#open(source, inputs.get(source) ?? scratch);
    const reuse = step.kind === "copy" ? this.#reuseOf(step) : undefined;
    let upper: string;
    if (step.kind === "copy" && step.link) {
      upper = workspace.newDirectory("upper");
      await runCopy(scope, step, { root: upper, passwdRoot: undefined, open, reuse });
    } else {
      const mounted = workspace.mountWritable(parent.chainId, step.kind === "run" ? scope.initLayer : undefined);
      upper = mounted.upper;
      try {
        if (step.kind === "mkdir") runMkdir(scope, step, mounted.root);
        else if (step.kind === "copy") {
          const passwdRoot = step.parent.kind === "scratch" ? undefined : mounted.root;
          await runCopy(scope, step, { root: mounted.root, passwdRoot, open, reuse });
        } else {
          const sourceOf = (mount: StepMount): string =>
            this.#directoryOf(mount.source, inputs.get(mount.source) ?? scratch);
          const onOutput = (data: Buffer): void => emit({ kind: "output", step: step.id, data });
          await runRun(scope, step, { rootfs: mounted.root, sourceOf, onOutput });
        }
      } finally {
        await workspace.unmount(mounted.root);
      }
    }
    await reuse?.link(upper);
    if (parent.chainId !== undefined && !(step.kind === "copy" && step.link)) {
      await dropUnchanged(upper, workspace.readTree(parent.chainId).tree);
    }
    if (scope.epochSeconds !== undefined) clampTimes(upper, scope.epochSeconds);
    const layer = await engine.images.commitLayer(parent.chainId, upper);
    reuse?.note(layer.diffId);
    return { ...layer, createdMs: Date.now() };
  }

  /** For a copy of one thing from a context that is followed from build to build. */
  #reuseOf({ actions, ignoreCache }: CopyStep): LayerReuse | undefined {
    const { contexts, engine, epochSeconds } = this.#options.scope;
    const [action] = actions;
    if (ignoreCache || actions.length !== 1 || action?.origin.kind !== "files") return undefined;
    const { source } = action.origin;
    const files = source.kind === "context" ? contexts.get(source.name) : undefined;
    if (files?.earlier === undefined) return undefined;
    const { known, earlier } = files;
    const layerDirectory = (diffId: string): string | undefined => engine.images.layerDirectory(diffId);
    return new LayerReuse({ source: this.#open(source, scratch).tree, known, earlier, epochSeconds, layerDirectory });
  }

  #open(source: Source, result: Result): ReadableSource {
    const { workspace, contexts } = this.#options.scope;
    if (source.kind !== "context") return { tree: workspace.readTree(result.chainId).tree, known: nothingKnown };
    const files = contexts.get(source.name);
    if (files === undefined) throw new TscomposeError("build/failed", `the build context ${source.name} was not sent`);
    return { tree: workspace.openTree(source.name, files.directory), known: files.known };
  }

  #directoryOf(source: Source, result: Result): string {
    const { workspace, contexts } = this.#options.scope;
    if (source.kind !== "context") return workspace.readTree(result.chainId).path;
    const files = contexts.get(source.name);
    if (files === undefined) throw new TscomposeError("build/failed", `the build context ${source.name} was not sent`);
    return files.directory;
  }

  #context(name: string): Promise<Result> {
    const known = this.#contexts.get(name);
    if (known !== undefined) return known;
    const made = this.#contextAsLayer(name);
    this.#contexts.set(name, made);
    return made;
  }

  /** A context that a stage builds on. */
  async #contextAsLayer(name: string): Promise<Result> {
    const { scope } = this.#options;
    const upper = scope.workspace.newDirectory("upper");
    const action = {
      origin: { kind: "files", source: { kind: "context", name }, path: "/", include: [], required: [] },
      destination: "/",
      chown: "",
      mode: undefined,
      exclude: [],
      unpack: false,
    } as const;
    const step = { kind: "copy", actions: [action], link: true } as const;
    const open = (source: Source): ReadableSource => this.#open(source, scratch);
    const full = {
      ...step,
      id: -1,
      title: "",
      source: "",
      place: { start: 0, end: 0 },
      stage: "",
      parent: { kind: "scratch" },
      ignoreCache: false,
    } as const;
    await runCopy(scope, full, { root: upper, passwdRoot: undefined, open });
    const { chainId, diffId } = await scope.engine.images.commitLayer(undefined, upper);
    return { chainId, diffIds: [diffId], madeMs: [Date.now()] };
  }

  async #key(step: Step, inputs: ReadonlyMap<Source, Result>): Promise<string> {
    const { scope } = this.#options;
    const digests = new Map<unknown, string>();
    const open = (source: Source): ReadableSource => this.#open(source, inputs.get(source) ?? scratch);
    if (step.kind === "copy")
      for (const action of step.actions)
        digests.set(action, await placing(step, () => digestAction(scope, action, open)));
    if (step.kind === "run") {
      for (const mount of step.mounts) {
        if (mount.source.kind !== "context") continue;
        const { tree, known } = open(mount.source);
        const path = toBytes(mount.sourcePath.replace(/^\/+/, ""));
        digests.set(mount.sourcePath, await digestSources(tree, [path], { include: [], exclude: [], known }));
      }
    }
    const sourceKey = (source: Source, use: SourceUse): string => {
      if (use.kind === "copy") return digests.get(use.action) ?? "";
      if (use.kind === "mount" && source.kind === "context") return digests.get(use.path) ?? "";
      return inputs.get(source)?.chainId ?? "";
    };
    return contentKey(step, { ...this.#facts(), sourceKey });
  }

  #facts(): Omit<KeyFacts, "sourceKey"> {
    const { scope, platform } = this.#options;
    return {
      platform: formatPlatform(platform),
      extraHosts: scope.limits.ExtraHosts ?? [],
      limits: JSON.stringify({ ...scope.limits, ExtraHosts: undefined }),
      epochSeconds: scope.epochSeconds,
    };
  }
}

async function placing<T>(step: Step, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw placed(error, step);
  }
}

/** The failure with the lines of its instruction. */
function placed(error: unknown, step: Step): unknown {
  if (!isTscomposeError(error) || error.code === "aborted" || "line" in error.details) return error;
  return new TscomposeError(error.code, error.message, {
    cause: error.cause,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: {
      ...error.details,
      step: step.title,
      source: step.source,
      line: step.place.start,
      endLine: step.place.end,
    },
  });
}
