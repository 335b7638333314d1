/** The checks that need no more than the parsed Dockerfile. */
import type { Dockerfile } from "../dockerfile/parse-dockerfile.ts";
import type { Instruction, Stage } from "../dockerfile/instruction.ts";
import { goQuote } from "../dockerfile/go-text.ts";
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import type { Linter } from "./linter.ts";
import { rules } from "./rules.ts";

const reservedNames = new Set(["context", "scratch"]);

function isLower(text: string): boolean {
  return text === text.toLowerCase();
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase();
}

/** The words `AS name` as written; undefined for a stage without a name. */
function namedParts(stage: Stage): readonly [string | undefined, string | undefined] {
  const words = stage.source.split(/[\t\v\f\r ]+/);
  return stage.name === "" ? [undefined, undefined] : [words.at(-2), words.at(-1)];
}

function checkFrom(stage: Stage, linter: Linter): void {
  const lint = linter.withComments(stage.comments);
  const [as, given] = namedParts(stage);
  if (as !== undefined && given !== undefined) {
    if (!isLower(given)) lint.report(rules.stageNameCasing, stage, `Stage name '${given}' should be lowercase`);
    const mismatch = isLower(stage.keyword) ? !isLower(as) : isUpper(stage.keyword) && !isUpper(as);
    if (mismatch)
      lint.report(rules.fromAsCasing, stage, `'${as}' and '${stage.keyword}' keywords' casing do not match`);
  }
  if (stage.name !== "") checkDescription("FROM", [stage.name], { place: stage, comments: stage.comments, lint });
}

interface Described {
  readonly place: LineRange;
  readonly comments: readonly string[];
  readonly lint: Linter;
}

function checkDescription(
  keyword: "FROM" | "ARG",
  names: readonly string[],
  { place, comments, lint }: Described,
): void {
  const last = comments.at(-1);
  const [first] = names;
  if (last === undefined || first === undefined || names.includes(last.split(" ")[0] ?? "")) return;
  const shown = names.length > 1 ? "<arg_key>" : first;
  lint.report(
    rules.invalidDefinitionDescription,
    place,
    `Comment for ${keyword} should follow the format: \`# ${shown} <description>\``,
  );
}

function checkInstruction(instruction: Instruction, linter: Linter): void {
  const lint = linter.withComments(instruction.comments);
  if (instruction.kind === "maintainer")
    lint.report(
      rules.maintainerDeprecated,
      instruction,
      "Maintainer instruction is deprecated in favor of using label",
    );
  if (instruction.kind === "arg") {
    const names = instruction.args.map(({ key }) => key);
    checkDescription("ARG", names, { place: instruction, comments: instruction.comments, lint });
  }
}

function checkStageNames(stages: readonly Stage[], lint: Linter): void {
  const seen = new Set<string>();
  for (const stage of stages) {
    if (stage.name === "") continue;
    if (reservedNames.has(stage.name))
      lint.report(
        rules.reservedStageName,
        stage,
        `Stage name should not use the same name as reserved stage ${goQuote(stage.name)}`,
      );
    if (seen.has(stage.name))
      lint.report(
        rules.duplicateStageName,
        stage,
        `Duplicate stage name ${goQuote(stage.name)}, stage names should be unique`,
      );
    seen.add(stage.name);
  }
}

function checkCasing(stages: readonly Stage[], lint: Linter): void {
  const all = stages.flatMap((stage) => [stage, ...stage.instructions]);
  const lower = all.filter(({ keyword }) => isLower(keyword)).length;
  const upper = all.filter(({ keyword }) => !isLower(keyword) && isUpper(keyword)).length;
  const wanted = lower > upper ? "lowercase" : "uppercase";
  for (const { keyword, start, end } of all) {
    if (wanted === "lowercase" ? isLower(keyword) : isUpper(keyword)) continue;
    lint.report(
      rules.consistentInstructionCasing,
      { start, end },
      `Command '${keyword}' should match the case of the command majority (${wanted})`,
    );
  }
}

export function runSyntaxChecks(dockerfile: Dockerfile, lint: Linter): void {
  for (const { line } of dockerfile.tree.emptyContinuations)
    lint.report(rules.noEmptyContinuation, { start: line, end: line }, "Empty continuation line");
  for (const arg of dockerfile.metaArgs) checkInstruction(arg, lint);
  for (const stage of dockerfile.stages) {
    checkFrom(stage, lint);
    for (const instruction of stage.instructions) checkInstruction(instruction, lint);
  }
  checkStageNames(dockerfile.stages, lint);
  checkCasing(dockerfile.stages, lint);
}
