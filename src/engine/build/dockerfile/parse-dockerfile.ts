/** Dockerfile text in; stages, their instructions and the ARGs before them out. Pure: nothing is resolved, no variable is
 *  replaced. Checked against BuildKit's own parser (v0.32). */
import { errorMessage } from "../../../errors.ts";
import { goQuote, trimSpace } from "./go-text.ts";
import { readFlags } from "./flags.ts";
import { isKeyword, keywords } from "./instruction.ts";
import type { ArgInstruction, Instruction, Stage } from "./instruction.ts";
import { docComment, parseInstruction } from "./parse-instruction.ts";
import { problem, withPlace } from "./problem.ts";
import { didYouMean } from "./suggest.ts";
import type { EscapeCharacter } from "./shell-lexer.ts";
import { parseSyntax } from "./syntax-tree.ts";
import type { SyntaxNode, SyntaxTree } from "./syntax-tree.ts";

export interface Dockerfile {
  readonly escape: EscapeCharacter;
  /** ARG instructions before the first FROM. */
  readonly metaArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly tree: SyntaxTree;
}

const stageName = /^[a-z][a-z0-9-_.]*$/;

function parseFrom(node: SyntaxNode): Omit<Stage, "instructions"> {
  const [base = "", as = "", given = ""] = node.args;
  const isNamed = node.args.length === 3 && as.toLowerCase() === "as";
  if (!isNamed && node.args.length !== 1) throw problem("FROM requires either one or three arguments");
  const name = isNamed ? given.toLowerCase() : "";
  if (isNamed && !stageName.test(name))
    throw problem(`invalid name for build stage: ${goQuote(given)}, name can't start with a number or contain symbols`);
  const flags = readFlags(node.flags, { platform: "text" });
  return {
    base,
    name,
    platform: flags.text("platform"),
    keyword: node.keyword,
    source: trimSpace(node.original),
    comments: node.comments,
    doc: docComment(node.comments, name),
    start: node.start,
    end: node.end,
  };
}

type StageDraft = Omit<Stage, "instructions"> & { readonly instructions: Instruction[] };

function unknownKeyword(node: SyntaxNode): unknown {
  const upper = keywords.map((keyword) => keyword.toUpperCase());
  return problem(`unknown instruction: ${node.keyword}${didYouMean(node.keyword, upper, "ignore-case")}`);
}

function parseNode(node: SyntaxNode): Omit<Stage, "instructions"> | Instruction {
  try {
    const keyword = node.keyword.toLowerCase();
    if (!isKeyword(keyword)) throw unknownKeyword(node);
    return keyword === "from" ? parseFrom(node) : parseInstruction(node, keyword);
  } catch (error) {
    const place = { phase: "instructions", line: node.start, endLine: node.end } as const;
    throw withPlace(error, place, `dockerfile parse error on line ${node.start}: ${errorMessage(error)}`);
  }
}

/** Stages and leading ARGs of a syntax tree.
 *  @throws build/invalid with the place (see `placeOf`). */
export function parseStages(tree: SyntaxTree): Pick<Dockerfile, "metaArgs" | "stages"> {
  const metaArgs: ArgInstruction[] = [];
  const stages: StageDraft[] = [];
  for (const node of tree.nodes) {
    const parsed = parseNode(node);
    const stage = stages.at(-1);
    if (!("kind" in parsed)) stages.push({ ...parsed, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(parsed);
    else if (parsed.kind === "arg") metaArgs.push(parsed);
    else {
      const place = { phase: "instructions", line: node.start, endLine: node.end } as const;
      throw withPlace(problem("no build stage in current context", "start the Dockerfile with FROM"), place);
    }
  }
  return { metaArgs, stages };
}

/** @throws build/invalid with the place (see `placeOf`). */
export function parseDockerfile(text: string): Dockerfile {
  const tree = parseSyntax(text);
  return { escape: tree.escape, tree, ...parseStages(tree) };
}
