/** A parsed Dockerfile and options to the steps that make the target, and the configuration of the image. The only thing that
 *  it waits for is what the resolver says about base images. */
import { canonicalName, tryParseReference, withDefaultTag } from "../../images/reference.ts";
import { formatPlatform } from "../../images/platform.ts";
import type { Platform } from "../../images/platform.ts";
import { isTscomposeError, TscomposeError } from "../../../errors.ts";
import { Linter, lintOptionsOf } from "../checks/linter.ts";
import type { Finding } from "../checks/linter.ts";
import { rules } from "../checks/rules.ts";
import { runSyntaxChecks } from "../checks/syntax-checks.ts";
import { detectSyntax } from "../dockerfile/directives.ts";
import type { ArgInstruction } from "../dockerfile/instruction.ts";
import { parseDockerfile, parseStages } from "../dockerfile/parse-dockerfile.ts";
import type { Dockerfile } from "../dockerfile/parse-dockerfile.ts";
import { problem } from "../dockerfile/problem.ts";
import type { ProblemPlace } from "../dockerfile/problem.ts";
import { expandWord } from "../dockerfile/shell-lexer.ts";
import { parseSyntax } from "../dockerfile/syntax-tree.ts";
import { createPatternMatcher } from "../ignore/pattern-matcher.ts";
import { dispatchInstruction } from "./dispatch.ts";
import { defaultPath, draftFrom, envPairs, setEnv, withConfig } from "./image-draft.ts";
import type { ImageDraft } from "./image-draft.ts";
import { findNamedContext } from "./named-context.ts";
import type { ImageResolver, NamedContext, PlanOptions, ResolvedImage } from "./options.ts";
import { platformArgs } from "./platform-args.ts";
import type { PlanContext } from "./plan-context.ts";
import {
  addDependencies,
  declareStages,
  linkStages,
  placed,
  reachableFrom,
  targetStage,
  toCommand,
} from "./stage-graph.ts";
import type { StageGraph } from "./stage-graph.ts";
import type { StageState } from "./stage-state.ts";
import { nextTitle } from "./step-title.ts";
import { resolveWorkdir } from "./workdir.ts";
import type { Source, Step } from "./steps.ts";

export interface PlanLine {
  /** As written, variables not replaced. */
  readonly text: string;
  /** The step that it is; undefined for one that only changes the configuration, and for FROM. */
  readonly step: number | undefined;
  readonly isFrom: boolean;
  /** Of FROM with an image. */
  readonly imageId: string | undefined;
}

export interface BuildPlan {
  /** In an order in which each comes after those that it needs; only what the target needs. */
  readonly steps: readonly Step[];
  readonly result: Source;
  readonly image: ImageDraft;
  /** `[1/3] FROM docker.io/library/busybox:latest`, by base image. */
  readonly baseTitles: readonly { readonly title: string; readonly imageId: string }[];
  readonly findings: readonly Finding[];
  /** The lines that take part, in the order of the file. */
  readonly lines: readonly PlanLine[];
  /** SOURCE_DATE_EPOCH: no file of the image is newer, and the image was made then. */
  readonly epochSeconds: number | undefined;
}

/** @throws build/unsupported front ends by name */
export function checkFrontend(text: string): void {
  const syntax = detectSyntax(text);
  if (syntax === undefined) return;
  const reference = tryParseReference(syntax);
  const known = reference?.domain === "docker.io" && /^docker\/dockerfile(?:-upstream)?$/.test(reference.path);
  if (known) return;
  throw new TscomposeError("build/invalid", `front end ${syntax} is not supported`, {
    hint: "take the # syntax= line out, or use docker/dockerfile: other front ends are programs that tscompose does not run",
  });
}

/** Values of the ARGs before the first FROM, on top of the predefined ones. */
function globalArgs(
  base: Map<string, string>,
  metaArgs: readonly ArgInstruction[],
  given: { readonly escape: Dockerfile["escape"]; readonly buildArgs: Readonly<Record<string, string>> },
): Map<string, string> {
  const values = new Map(base);
  for (const instruction of metaArgs) {
    placed(instruction, () => {
      for (const { key, value } of instruction.args) {
        if (Object.hasOwn(given.buildArgs, key)) values.set(key, given.buildArgs[key] ?? "");
        else if (value !== undefined)
          values.set(key, expandWord(value, { escape: given.escape }, (name) => values.get(name)).result);
      }
    });
  }
  return values;
}

/** A build argument, or the default of an ARG before the first FROM. */
function sourceDateEpoch(context: PlanContext): number | undefined {
  const name = "SOURCE_DATE_EPOCH";
  const value = Object.hasOwn(context.options.buildArgs, name)
    ? context.options.buildArgs[name]
    : context.globalArgs.get(name);
  if (value === undefined || value === "") return undefined;
  if (!/^[0-9]{1,11}$/.test(value))
    throw problem(`invalid SOURCE_DATE_EPOCH: ${value}`, "give seconds since 1970-01-01, for example 0");
  return Number(value);
}

/** Base names must make sense without build arguments too. */
function checkDefaultBases(dockerfile: Dockerfile, base: Map<string, string>, lint: Linter): void {
  try {
    const values = globalArgs(base, dockerfile.metaArgs, { escape: dockerfile.escape, buildArgs: {} });
    for (const stage of dockerfile.stages) {
      const { result } = expandWord(stage.base, { escape: dockerfile.escape }, (name) => values.get(name));
      if (tryParseReference(result) === undefined)
        lint.report(
          rules.invalidDefaultArgInFrom,
          stage,
          `Default value for ARG ${stage.base} results in empty or invalid base image name`,
        );
    }
  } catch {
    // What cannot be expanded here is reported as an error where it is used.
  }
}

function prepare(dockerfile: Dockerfile, options: PlanOptions, lint: Linter): PlanContext {
  const { buildPlatform, buildArgs, target } = options;
  const base = platformArgs({
    build: buildPlatform,
    target: options.platform ?? buildPlatform,
    targetStage: target ?? dockerfile.stages.at(-1)?.name ?? "",
    overrides: buildArgs,
  });
  checkDefaultBases(dockerfile, base, lint);
  return {
    options,
    escape: dockerfile.escape,
    globalArgs: globalArgs(base, dockerfile.metaArgs, { escape: dockerfile.escape, buildArgs }),
    lint,
    ignore: options.ignorePatterns.length === 0 ? undefined : createPatternMatcher(options.ignorePatterns),
    steps: [],
  };
}

/** What a stage takes over from the one that it builds on. */
function inherit(state: StageState): void {
  const { base } = state;
  if (base === undefined || state.initialised) return;
  state.source = base.source;
  state.platform = base.platform;
  state.image = withConfig(base.image, { OnBuild: undefined });
  state.workdirSet = base.workdirSet;
  state.buildArgs = [...state.buildArgs, ...base.buildArgs];
}

/** Whatever the store or the registry says, with the line that names the image. */
function baseProblem(error: unknown, place: ProblemPlace): unknown {
  if (!isTscomposeError(error) || error.code === "aborted" || "line" in error.details) return error;
  return new TscomposeError(error.code, error.message, {
    cause: error,
    details: { ...error.details, ...place },
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

class Planner {
  readonly #context: PlanContext;
  readonly #graph: StageGraph;
  readonly #resolver: ImageResolver;
  readonly #bases = new Map<StageState, Promise<void>>();
  readonly #titles: { title: string; imageId: string }[] = [];
  readonly lines: PlanLine[] = [];

  constructor(context: PlanContext, graph: StageGraph, resolver: ImageResolver) {
    this.#context = context;
    this.#graph = graph;
    this.#resolver = resolver;
  }

  get titles(): readonly { readonly title: string; readonly imageId: string }[] {
    return this.#titles;
  }

  /** Resolves base images and ONBUILD triggers until no trigger asks for another stage. */
  async resolve(target: StageState): Promise<ReadonlySet<StageState>> {
    for (;;) {
      const reachable = reachableFrom(target);
      await Promise.all(this.#graph.states.filter((state) => reachable.has(state)).map((state) => this.#base(state)));
      let grew = false;
      for (const state of this.#graph.states) {
        if (reachable.has(state) && this.#runTriggers(state)) grew = true;
      }
      if (!grew) return reachable;
    }
  }

  #base(state: StageState): Promise<void> {
    if (state.base !== undefined) return Promise.resolve();
    const known = this.#bases.get(state);
    if (known !== undefined) return known;
    const work = this.#resolveBase(state).catch((error: unknown) => {
      const { start, end } = state.stage;
      throw baseProblem(error, { phase: "instructions", line: start, endLine: end });
    });
    this.#bases.set(state, work);
    return work;
  }

  async #resolveBase(state: StageState): Promise<void> {
    const { options } = this.#context;
    const platform = state.platform ?? options.platform ?? options.buildPlatform;
    const named = state.namedContext ?? findNamedContext(options.namedContexts, state.baseName);
    if (named?.kind === "local") {
      state.source = { kind: "context", name: named.name };
      state.platform = platform;
      state.dispatched = !state.declared || state.namedContext !== undefined;
      return;
    }
    if (named === undefined && state.baseName === "scratch") {
      state.platform = platform;
      state.dispatched = !state.declared;
      return;
    }
    this.#takeImage(state, await this.#image(state, named, platform), platform);
    state.dispatched = !state.declared || state.namedContext !== undefined;
  }

  async #image(state: StageState, named: NamedContext | undefined, platform: Platform): Promise<ResolvedImage> {
    if (named?.kind === "resolved") return named.image;
    return this.#resolver.resolveImage(named?.kind === "image" ? named.reference : state.baseName, platform);
  }

  #takeImage(state: StageState, { image, config }: ResolvedImage, platform: Platform): void {
    const layers = config.rootfs.diff_ids.length;
    state.source = layers === 0 ? { kind: "scratch" } : { kind: "image", image };
    state.image = draftFrom(config);
    state.platform = state.platform ?? this.#context.options.platform ?? image.platform;
    const reference = tryParseReference(state.baseName);
    const shown = reference === undefined ? state.baseName : canonicalName(withDefaultTag(reference));
    if (state.declared) this.#titles.push({ title: nextTitle(state, `FROM ${shown}`, false), imageId: image.id });
    if (image.platform.os === platform.os && image.platform.architecture === platform.architecture) return;
    this.#context.lint.report(
      rules.invalidBaseImagePlatform,
      state.stage,
      `Base image ${state.baseName} was pulled with platform "${formatPlatform(image.platform)}", expected "${formatPlatform(platform)}" for current build`,
    );
  }

  /** ONBUILD instructions of the base come first. True where they need a stage that was not needed before. */
  #runTriggers(state: StageState): boolean {
    if (state.onbuildDone || !state.declared) return false;
    state.onbuildDone = true;
    const own = state.image.config.OnBuild ?? [];
    const inherited = (state.base?.commands ?? []).flatMap(({ instruction }) =>
      instruction.kind === "onbuild" ? [instruction.expression] : [],
    );
    const triggers = [...(state.base === undefined ? own : []), ...inherited];
    if (triggers.length === 0) return false;
    state.image = withConfig(state.image, { OnBuild: undefined });
    const commands = triggers.map((trigger) => placed(state.stage, () => this.#triggerCommand(state, trigger)));
    state.commands = [...commands, ...state.commands];
    state.titleTotal += commands.length;
    return commands.some(({ sources }) => sources.length > 0);
  }

  #triggerCommand(state: StageState, trigger: string): StageState["commands"][number] {
    const { start, end } = state.stage;
    const stages = parseStages({ ...parseSyntax(`FROM scratch\n${trigger}`) }).stages;
    const instructions = stages.flatMap((stage) => stage.instructions);
    const [only] = instructions;
    if (only === undefined || instructions.length !== 1 || stages.length !== 1)
      throw problem("onbuild trigger should be a single expression");
    const instruction = { ...only, start, end };
    const command = toCommand(this.#context, this.#graph, { instruction, onbuild: true });
    addDependencies(state, command, { start, end });
    return command;
  }

  /** Goes through the instructions of every stage that is needed, in the order of the file. */
  dispatch(reachable: ReadonlySet<StageState>): void {
    for (const state of this.#graph.states) {
      if (!reachable.has(state) || state.dispatched) continue;
      inherit(state);
      state.initialised = true;
      state.platform ??= this.#context.options.platform ?? this.#context.options.buildPlatform;
      this.#startEnvironment(state);
      this.#line({ text: state.stage.source, step: undefined, isFrom: true }, state.source);
      for (const command of state.commands) {
        const before = this.#context.steps.length;
        placed(command.instruction, () => dispatchInstruction(this.#context, state, command));
        const made = this.#context.steps.length > before;
        const text = command.instruction.source;
        this.#line({ text, step: made ? before : undefined, isFrom: false }, { kind: "scratch" });
      }
      state.dispatched = true;
    }
  }

  #line(line: Omit<PlanLine, "imageId">, source: Source): void {
    this.lines.push({ ...line, imageId: source.kind === "image" ? source.image.id : undefined });
  }

  #startEnvironment(state: StageState): void {
    const env = state.image.config.Env ?? [];
    if (!env.some((entry) => entry.startsWith("PATH=")))
      state.image = withConfig(state.image, { Env: setEnv(env, "PATH", defaultPath) });
    // ARGs of the stage below are values here as well, where no ENV has the name.
    for (const [key, value] of state.base?.env ?? []) state.env.set(key, value);
    for (const [key, value] of envPairs(state.image.config.Env ?? [])) state.env.set(key, value);
    const { WorkingDir } = state.image.config;
    if (WorkingDir !== undefined && WorkingDir !== "")
      state.image = withConfig(state.image, { WorkingDir: resolveWorkdir("", WorkingDir) });
  }
}

function finishImage(image: ImageDraft, options: PlanOptions): ImageDraft {
  const labels =
    Object.keys(options.labels).length === 0 ? image.config.Labels : { ...image.config.Labels, ...options.labels };
  const labelled = labels === undefined ? image : withConfig(image, { Labels: labels });
  const { platform } = options;
  if (platform === undefined) return labelled;
  const { variant: _variant, ...rest } = labelled;
  const same = rest.os === platform.os && rest.architecture === platform.architecture;
  const variant = platform.variant ?? (same ? labelled.variant : undefined);
  return {
    ...rest,
    os: platform.os,
    architecture: platform.architecture,
    ...(variant === undefined ? {} : { variant }),
  };
}

/** The steps that `result` needs, renumbered. */
function neededSteps(
  steps: readonly Step[],
  result: Source,
): { readonly steps: readonly Step[]; readonly result: Source; readonly numbers: ReadonlyMap<number, number> } {
  const needed = new Set<number>();
  const sourcesOf = (step: Step): readonly Source[] => {
    if (step.kind === "run") return [step.parent, ...step.mounts.map(({ source }) => source)];
    if (step.kind === "mkdir") return [step.parent];
    return [step.parent, ...step.actions.flatMap(({ origin }) => (origin.kind === "files" ? [origin.source] : []))];
  };
  const open = [result];
  for (let source = open.pop(); source !== undefined; source = open.pop()) {
    const step = source.kind === "step" ? steps[source.step] : undefined;
    if (step === undefined || needed.has(step.id)) continue;
    needed.add(step.id);
    open.push(...sourcesOf(step));
  }
  const kept = steps.filter((step) => needed.has(step.id));
  const numbers = new Map(kept.map((step, index) => [step.id, index]));
  const moved = (source: Source): Source =>
    source.kind === "step" ? { kind: "step", step: numbers.get(source.step) ?? -1 } : source;
  const renumbered = kept.map((step, id): Step => {
    const common = { id, parent: moved(step.parent) };
    if (step.kind === "mkdir") return { ...step, ...common };
    if (step.kind === "run")
      return { ...step, ...common, mounts: step.mounts.map((mount) => ({ ...mount, source: moved(mount.source) })) };
    const actions = step.actions.map((action) =>
      action.origin.kind === "files"
        ? { ...action, origin: { ...action.origin, source: moved(action.origin.source) } }
        : action,
    );
    return { ...step, ...common, actions };
  });
  return { steps: renumbered, result: moved(result), numbers };
}

/** @throws build/invalid with the place (see `placeOf`), or what the resolver throws */
export async function planBuild(text: string, options: PlanOptions, resolver: ImageResolver): Promise<BuildPlan> {
  if (text === "") throw new TscomposeError("build/invalid", "the Dockerfile cannot be empty");
  checkFrontend(text);
  const lint = new Linter(lintOptionsOf(text));
  const dockerfile = parseDockerfile(text);
  runSyntaxChecks(dockerfile, lint);
  if (dockerfile.stages.length === 0)
    throw new TscomposeError("build/invalid", "dockerfile contains no stages to build", { hint: "start it with FROM" });
  const context = prepare(dockerfile, options, lint);
  const declared = dockerfile.metaArgs.flatMap(({ args }) => args.map(({ key }) => key));
  const graph = declareStages(context, dockerfile.stages, declared);
  const target = targetStage(graph, options.target);
  linkStages(context, graph);
  const epochSeconds = sourceDateEpoch(context);
  const planner = new Planner(context, graph, resolver);
  planner.dispatch(await planner.resolve(target));
  lint.finish();
  const { steps, result, numbers } = neededSteps(context.steps, target.source);
  return {
    steps,
    result,
    lines: planner.lines.map((line) => ({
      ...line,
      step: line.step === undefined ? undefined : numbers.get(line.step),
    })),
    image: finishImage(target.image, options),
    baseTitles: planner.titles,
    findings: lint.findings,
    epochSeconds,
  };
}
