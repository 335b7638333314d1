/** What can be asked of a Dockerfile without building it: its targets; the arguments, secrets and agents that a target takes. Pure.
 *  Source: BuildKit frontend/subrequests/{targets,outline}. */
import { parseDockerfile } from "../dockerfile/parse-dockerfile.ts";
import type { Stage } from "../dockerfile/instruction.ts";
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import type { BuildPlan } from "../plan/plan-build.ts";

export interface TargetFact {
  /** Empty for a stage without a name. */
  readonly name: string;
  readonly description: string;
  /** As written. */
  readonly base: string;
  readonly platform: string;
  /** The last one. */
  readonly isDefault: boolean;
  readonly place: LineRange;
}

export interface ArgFact {
  readonly name: string;
  readonly description: string;
  /** The one that was given, or its default as written. */
  readonly value: string | undefined;
  readonly place: LineRange;
}

export interface MountFact {
  readonly name: string;
  readonly required: boolean;
  readonly place: LineRange;
}

export interface BuildOutline {
  readonly name: string;
  readonly description: string;
  readonly args: readonly ArgFact[];
  readonly secrets: readonly MountFact[];
  readonly ssh: readonly MountFact[];
}

/** @throws build/invalid */
export function targetsOf(text: string): readonly TargetFact[] {
  const { stages } = parseDockerfile(text);
  return stages.map((stage, index) => ({
    name: stage.name,
    description: stage.doc,
    base: stage.base,
    platform: stage.platform,
    isDefault: index === stages.length - 1,
    place: { start: stage.start, end: stage.end },
  }));
}

/** The stage, those that it is built on, and those that these copy from. */
function reachable(stages: readonly Stage[], from: Stage): ReadonlySet<Stage> {
  const found = new Set<Stage>();
  const open = [from];
  for (let stage = open.pop(); stage !== undefined; stage = open.pop()) {
    if (found.has(stage)) continue;
    found.add(stage);
    const names = stage.instructions.flatMap((instruction) => (instruction.kind === "copy" ? [instruction.from] : []));
    for (const name of [stage.base, ...names]) {
      const next = stages.find((other, index) => other.name === name.toLowerCase() || String(index) === name);
      if (name !== "" && next !== undefined) open.push(next);
    }
  }
  return found;
}

/** @throws build/invalid */
export function outlineOf(
  text: string,
  plan: Pick<BuildPlan, "steps">,
  given: { readonly target: string | undefined; readonly buildArgs: Readonly<Record<string, string>> },
): BuildOutline {
  const { stages, metaArgs } = parseDockerfile(text);
  const wanted = given.target?.toLowerCase();
  const target = stages.find((stage, index) => stage.name === wanted || String(index) === wanted) ?? stages.at(-1);
  const used = target === undefined ? new Set<Stage>() : reachable(stages, target);
  const declared = stages
    .filter((stage) => used.has(stage))
    .flatMap(({ instructions }) => instructions.flatMap((one) => (one.kind === "arg" ? [one] : [])));
  const args = new Map<string, ArgFact>();
  for (const { args: defined, start, end } of [...metaArgs, ...declared])
    for (const { key, value, doc } of defined) {
      const known = args.get(key);
      const said = Object.hasOwn(given.buildArgs, key) ? given.buildArgs[key] : (value ?? known?.value);
      args.set(key, { name: key, description: doc || (known?.description ?? ""), value: said, place: { start, end } });
    }
  const runs = plan.steps.flatMap((step) => (step.kind === "run" ? [step] : []));
  return {
    name: target?.name ?? "",
    description: target?.doc ?? "",
    args: [...args.values()],
    secrets: byName(runs.flatMap(({ secrets, place }) => secrets.map((one) => fact(one, place)))),
    ssh: byName(runs.flatMap(({ ssh, place }) => ssh.map((one) => fact(one, place)))),
  };
}

function fact(one: { readonly id: string; readonly required: boolean }, place: LineRange): MountFact {
  return { name: one.id, required: one.required, place };
}

/** Each once: required where it is so anywhere. */
function byName(facts: readonly MountFact[]): readonly MountFact[] {
  const found = new Map<string, MountFact>();
  for (const one of facts) {
    const known = found.get(one.name);
    found.set(one.name, known === undefined ? one : { ...known, required: known.required || one.required });
  }
  return [...found.values()];
}
