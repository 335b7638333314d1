/** Stages and how they hang together: which builds on which, which copies from which, and which the target needs. */
import { parsePlatform } from "../../images/platform.ts";
import { parseReference, tryParseReference } from "../../images/reference.ts";
import type { Platform } from "../../images/platform.ts";
import { TscomposeError, errorMessage } from "../../../errors.ts";
import type { Linter } from "../checks/linter.ts";
import { rules } from "../checks/rules.ts";
import { goQuote } from "../dockerfile/go-text.ts";
import type { Instruction, Stage } from "../dockerfile/instruction.ts";
import { problem, withPlace } from "../dockerfile/problem.ts";
import { parseRunMount } from "../dockerfile/run-mount.ts";
import { expandWord } from "../dockerfile/shell-lexer.ts";
import { didYouMean, nearest } from "../dockerfile/suggest.ts";
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import { emptyDraft } from "./image-draft.ts";
import { findNamedContext } from "./named-context.ts";
import type { NamedContext } from "./options.ts";
import type { PlanContext } from "./plan-context.ts";
import type { StageCommand, StageState } from "./stage-state.ts";

export interface StageGraph {
  /** Declared stages first, then images that COPY --from and mounts name. */
  readonly states: StageState[];
  readonly byName: Map<string, StageState>;
}

/** Runs `work`; a failure in it is given the place. */
export function placed<T>(place: LineRange, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withPlace(error, { phase: "instructions", line: place.start, endLine: place.end });
  }
}

function reportUndeclared(
  stage: Stage,
  lint: Linter,
  names: { readonly unmatched: readonly string[]; readonly known: readonly string[] },
): void {
  for (const name of names.unmatched) {
    if (names.known.includes(name)) continue;
    const match = nearest(name, names.known);
    const hint = match === undefined ? "" : ` (did you mean ${match}?)`;
    lint.report(rules.undefinedArgInFrom, stage, `FROM argument '${name}' is not declared${hint}`);
  }
}

function stagePlatform(context: PlanContext, stage: Stage, declared: readonly string[]): Platform | undefined {
  if (stage.platform === "") return undefined;
  const lint = context.lint.withComments(stage.comments);
  const { globalArgs } = context;
  const expanded = expandWord(stage.platform, { escape: context.escape }, (name) => globalArgs.get(name));
  reportUndeclared(stage, lint, { unmatched: expanded.unmatched, known: [...globalArgs.keys(), ...declared] });
  const { matched, unmatched, result } = expanded;
  if (
    matched.length === 1 &&
    matched[0] === "TARGETPLATFORM" &&
    unmatched.length === 0 &&
    result === globalArgs.get("TARGETPLATFORM")
  )
    lint.report(
      rules.redundantTargetPlatform,
      stage,
      `Setting platform to predefined ${stage.platform} in FROM is redundant as this is the default behavior`,
    );
  const suggestion =
    unmatched.map((name) => didYouMean(name, [...globalArgs.keys()])).find((text) => text !== "") ?? "";
  if (result === "") throw problem(`empty platform value from expression ${stage.platform}${suggestion}`);
  const platform = (() => {
    try {
      return parsePlatform(result, context.options.buildPlatform);
    } catch (error) {
      throw problem(`failed to parse platform ${stage.platform}: ${errorMessage(error)}${suggestion}`);
    }
  })();
  if (
    matched.length === 0 &&
    unmatched.length === 0 &&
    !stage.name.includes(platform.os) &&
    !stage.name.includes(platform.architecture)
  )
    lint.report(
      rules.fromPlatformFlagConstDisallowed,
      stage,
      `FROM --platform flag should not use constant value ${goQuote(result)}`,
    );
  return platform;
}

/** Steps that get a number in the title. */
function isCounted(instruction: Instruction): boolean {
  const { kind } = instruction;
  return kind === "add" || kind === "copy" || kind === "run" || kind === "workdir";
}

function newState(
  stage: Stage,
  context: PlanContext,
  known: Pick<StageState, "baseName" | "shownName" | "base" | "declared" | "namedContext" | "platform">,
): StageState {
  const { noCache, platform, buildPlatform } = context.options;
  const hasBase = stage.base !== "scratch" && known.base === undefined && known.declared;
  return {
    stage,
    ...known,
    commands: [],
    dependencies: new Map(),
    source: { kind: "scratch" },
    image: emptyDraft(platform ?? buildPlatform),
    env: new Map(),
    buildArgs: [],
    workdirSet: false,
    lastSeen: new Map(),
    initialised: false,
    onbuildDone: false,
    dispatched: false,
    titleIndex: 0,
    titleTotal: (hasBase ? 1 : 0) + stage.instructions.filter(isCounted).length,
    ignoreCache: noCache === "all" || (noCache !== "none" && noCache.includes(stage.name)),
  };
}

function declareStage(
  context: PlanContext,
  graph: StageGraph,
  at: { readonly stage: Stage; readonly index: number; readonly declared: readonly string[] },
): void {
  const { stage, index } = at;
  const expanded = expandWord(stage.base, { escape: context.escape }, (name) => context.globalArgs.get(name));
  reportUndeclared(stage, context.lint.withComments(stage.comments), {
    unmatched: expanded.unmatched,
    known: [...context.globalArgs.keys(), ...at.declared],
  });
  if (expanded.result === "") throw problem(`base name (${stage.base}) should not be blank`);
  const platform = stagePlatform(context, stage, at.declared);
  const namedContext: NamedContext | undefined =
    stage.name === "" ? undefined : findNamedContext(context.options.namedContexts, stage.name);
  const state = newState({ ...stage, base: expanded.result }, context, {
    baseName: expanded.result,
    shownName: stage.name === "" ? `stage-${index}` : stage.name,
    base: namedContext === undefined ? graph.byName.get(expanded.result) : undefined,
    declared: true,
    namedContext,
    platform,
  });
  graph.states.push(state);
  if (stage.name !== "") graph.byName.set(stage.name, state);
}

export function declareStages(context: PlanContext, stages: readonly Stage[], declared: readonly string[]): StageGraph {
  const graph: StageGraph = { states: [], byName: new Map() };
  for (const [index, stage] of stages.entries())
    placed(stage, () => declareStage(context, graph, { stage, index, declared }));
  return graph;
}

/** Finds what each instruction reads from.
 *  @throws build/invalid for stages that need each other, and base names that are none, of stages that are not needed too */
export function linkStages(context: PlanContext, graph: StageGraph): void {
  const declared = graph.states.slice();
  for (const state of declared) {
    const commands = state.stage.instructions.map((instruction) =>
      placed(instruction, () => toCommand(context, graph, { instruction, onbuild: false })),
    );
    state.commands = commands;
    for (const command of commands) addDependencies(state, command, command.instruction);
  }
  checkCycles(graph);
  const [only] = graph.states;
  if (only !== undefined && graph.states.length === 1) only.shownName = "";
  for (const state of graph.states) placed(state.stage, () => checkBaseName(context, state));
}

/** BuildKit's text: of what may be wrong with a name, only upper case is told apart. */
function referenceProblem(name: string): string {
  const general = "invalid reference format";
  try {
    parseReference(name);
    return general;
  } catch (error) {
    const text = errorMessage(error);
    return text.endsWith("must be lowercase") ? text : general;
  }
}

function checkBaseName(context: PlanContext, state: StageState): void {
  if (state.base !== undefined || state.namedContext !== undefined || state.baseName === "scratch") return;
  if (findNamedContext(context.options.namedContexts, state.baseName) !== undefined) return;
  if (tryParseReference(state.baseName) !== undefined || /^(?:sha256:)?[a-f0-9]{64}$/.test(state.baseName)) return;
  throw problem(
    `failed to parse stage name ${goQuote(state.baseName)}: ${referenceProblem(state.baseName)}`,
    "write an image as [host[:port]/]name[:tag] in lower case",
  );
}

export function addDependencies(state: StageState, command: StageCommand, place: LineRange): void {
  for (const source of command.sources) if (source !== undefined) state.dependencies.set(source, place);
}

/** The stage of that name, else an image that no stage declares. */
function sourceStage(
  context: PlanContext,
  graph: StageGraph,
  at: { readonly name: string; readonly place: LineRange },
): StageState {
  const known = graph.byName.get(at.name.toLowerCase());
  if (known !== undefined) return known;
  const stage: Stage = {
    base: at.name,
    name: "",
    platform: "",
    keyword: "FROM",
    source: `FROM ${at.name}`,
    comments: [],
    doc: "",
    instructions: [],
    start: at.place.start,
    end: at.place.end,
  };
  const state = newState(stage, context, {
    baseName: at.name,
    shownName: "",
    base: undefined,
    declared: false,
    namedContext: undefined,
    platform: undefined,
  });
  graph.states.push(state);
  return state;
}

/** An instruction with the stages that it reads from. `--from` takes a name or a number, but no variable. */
export function toCommand(
  context: PlanContext,
  graph: StageGraph,
  given: { readonly instruction: Instruction; readonly onbuild: boolean },
): StageCommand {
  const { instruction, onbuild } = given;
  if (instruction.kind === "copy" && instruction.from !== "") {
    const { from } = instruction;
    if (expandWord(from, { escape: context.escape }, () => undefined).result !== from)
      throw problem(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
      );
    const numbered = /^[+-]?[0-9]+$/.test(from) ? graph.states[Number(from)] : undefined;
    if (/^[+-]?[0-9]+$/.test(from) && numbered === undefined) throw problem(`invalid stage index ${Number(from)}`);
    return {
      instruction,
      onbuild,
      sources: [numbered ?? sourceStage(context, graph, { name: from, place: instruction })],
    };
  }
  if (instruction.kind !== "run") return { instruction, onbuild, sources: [] };
  const sources = instruction.mounts.map((text) => {
    const from = mountFrom(text);
    return from === "" ? undefined : sourceStage(context, graph, { name: from, place: instruction });
  });
  return { instruction, onbuild, sources };
}

/** The `from` of a mount before variables are known; it may have none. */
function mountFrom(text: string): string {
  try {
    return parseRunMount(text, (value) => value).from;
  } catch {
    const match = /(?:^|,)from=([^,]*)/i.exec(text);
    return match?.[1] ?? "";
  }
}

function checkCycles({ states }: StageGraph): void {
  const done = new Set<StageState>();
  const visit = (state: StageState, path: readonly StageState[], place: LineRange): void => {
    if (path.includes(state)) {
      throw withPlace(problem(`circular dependency detected on stage: ${state.shownName}`), {
        phase: "instructions",
        line: place.start,
        endLine: place.end,
      });
    }
    if (done.has(state)) return;
    for (const [next, where] of state.dependencies) visit(next, [...path, state], where);
    done.add(state);
  };
  for (const state of states) visit(state, [], state.stage);
}

/** All that `target` needs, itself included. */
export function reachableFrom(target: StageState): ReadonlySet<StageState> {
  const found = new Set<StageState>();
  const open = [target];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    if (found.has(state)) continue;
    found.add(state);
    if (state.base !== undefined) open.push(state.base);
    open.push(...state.dependencies.keys());
  }
  return found;
}

/** By name, else (as in Docker's classic builder) by number; without a target the last declared stage.
 *  @throws build/invalid */
export function targetStage(graph: StageGraph, target: string | undefined): StageState {
  const declared = graph.states.filter((state) => state.declared);
  const found =
    target === undefined || target === ""
      ? declared.at(-1)
      : (graph.byName.get(target.toLowerCase()) ?? (/^[0-9]+$/.test(target) ? declared[Number(target)] : undefined));
  if (found !== undefined) return found;
  const names = declared.map((state) => state.shownName).filter((name) => name !== "");
  const wanted = target ?? "";
  throw new TscomposeError(
    "build/invalid",
    `target stage ${goQuote(wanted)} could not be found${didYouMean(wanted, names)}`,
    names.length === 0 ? {} : { hint: `the stages are ${names.join(", ")}` },
  );
}
