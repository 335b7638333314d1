/** COPY and ADD: sources, destination and options to copy actions. */
import { isGitUrl } from "../context/git-url.ts";
import { rules } from "../checks/rules.ts";
import type { AddInstruction, CopyInstruction, SourceContent } from "../dockerfile/instruction.ts";
import { goQuote } from "../dockerfile/go-text.ts";
import { problem } from "../dockerfile/problem.ts";
import { expandWord } from "../dockerfile/shell-lexer.ts";
import { hasWildcards } from "../ignore/go-match.ts";
import { basePath, cleanPath, joinPath } from "../ignore/go-path.ts";
import { withHistory } from "./image-draft.ts";
import { parseModeChange } from "./mode-set.ts";
import { reportUndefined } from "./plan-context.ts";
import type { CommandDispatch } from "./dispatch-run.ts";
import type { CopyAction, CopyOrigin, Source } from "./steps.ts";
import { expandedSource, nextTitle } from "./step-title.ts";
import { resolveDestination } from "./workdir.ts";

interface CopyRequest {
  readonly keyword: "COPY" | "ADD";
  readonly instruction: CopyInstruction | AddInstruction;
  readonly source: Source;
  readonly fromContext: boolean;
  readonly chown: string;
  readonly chmod: string;
  readonly checksum: string;
}

function isHttpUrl(source: string): boolean {
  return /^https?:\/\//.test(source) && !isGitUrl(source);
}

function checkIgnored(dispatch: CommandDispatch, request: CopyRequest, source: string): void {
  const { ignore } = dispatch.context;
  if (!request.fromContext || ignore === undefined || ignore.hasExclusions) return;
  const path = cleanPath(source);
  const rootIgnored = ignore.patterns.some(({ text }) => text === "*" || text === "**" || text === "**/*");
  if ((path === "." || path === "/") && !rootIgnored) return;
  if (!ignore.matches(path)) return;
  const verb = request.keyword === "ADD" ? "Add" : "Copy";
  dispatch.lint.report(
    rules.copyIgnoredFile,
    request.instruction,
    `Attempting to ${verb} file ${goQuote(path)} that is excluded by .dockerignore`,
  );
}

/** A path of the context or of another stage. With `--parents` the part after `/./` (or all of it) is kept as directories. */
function fileOrigin(request: CopyRequest, given: string): CopyOrigin {
  const { instruction, source } = request;
  if (instruction.kind !== "copy" || !instruction.parents)
    return { kind: "files", source, path: joinPath("/", given), include: [], required: [] };
  const pivot = given.indexOf("/./");
  const from = pivot < 0 ? "/" : given.slice(0, pivot);
  const pattern = joinPath("/", pivot < 0 ? given : given.slice(pivot + 3));
  const required = hasWildcards(from) || hasWildcards(pattern) ? [] : [joinPath("/", from, pattern)];
  return { kind: "files", source, path: joinPath("/", from), include: [pattern.replace(/^\//, "")], required };
}

function originOf(dispatch: CommandDispatch, request: CopyRequest, source: string): CopyOrigin {
  const { keyword, instruction, checksum } = request;
  if (isGitUrl(source)) {
    if (keyword === "COPY") throw problem("source can't be a git ref for COPY", "use ADD");
    const keepGitDir = instruction.kind === "add" && instruction.keepGitDir === true;
    return { kind: "git", url: source, keepGitDir, checksum };
  }
  if (isHttpUrl(source)) {
    if (keyword === "COPY") throw problem("source can't be a URL for COPY", "use ADD");
    return { kind: "url", url: source, name: urlFileName(source), checksum };
  }
  checkIgnored(dispatch, request, source);
  return fileOrigin(request, source);
}

function urlFileName(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const name = parsed === undefined ? "" : basePath(decodeSafely(parsed.pathname));
  return name === "" || name === "." || name === "/" || name === ".." ? "__unnamed__" : name;
}

function decodeSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function checkChecksum({ keyword, checksum, instruction }: CopyRequest, sources: readonly string[]): void {
  if (checksum === "" || instruction.kind !== "add") return;
  const [only = ""] = sources;
  if (sources.length !== 1) throw problem("checksum can't be specified for multiple sources");
  if (!isHttpUrl(only) && !isGitUrl(only)) throw problem("checksum requires HTTP(S) or Git sources");
  if (keyword === "COPY") throw problem("checksum can't be specified for COPY");
}

function unpacks(request: CopyRequest, origin: CopyOrigin): boolean {
  const { instruction } = request;
  if (instruction.kind !== "add") return false;
  return instruction.unpack ?? origin.kind === "files";
}

/** Heredoc content with its variables; quotes are text in it, and a backslash escapes whatever the escape directive says. */
function expandContent({ state, lint, command }: CommandDispatch, { content, expand }: SourceContent): string {
  if (!expand) return content;
  const expanded = expandWord(content, { escape: "\\", quotes: "literal" }, (name) => state.env.get(name));
  reportUndefined(state, { place: command.instruction, lint }, expanded.unmatched);
  return expanded.result;
}

function addStep(dispatch: CommandDispatch, request: CopyRequest): void {
  const { context, state, expand, command } = dispatch;
  const { instruction, keyword } = request;
  const sources = instruction.sources.map(expand);
  const given = expand(instruction.destination);
  checkChecksum(request, sources);
  const mode = request.chmod === "" ? undefined : parseModeChange(request.chmod);
  const destination = resolveDestination(state.image.config.WorkingDir ?? "/", given);
  const origins: readonly CopyOrigin[] = [
    ...sources.map((source) => originOf(dispatch, request, source)),
    ...instruction.contents.map((content) => ({
      kind: "inline" as const,
      name: content.path,
      content: expandContent(dispatch, content),
    })),
  ];
  const actions = origins.map((origin): CopyAction => ({
    origin,
    destination,
    chown: request.chown,
    mode,
    exclude: instruction.exclude,
    unpack: unpacks(request, origin),
  }));
  const shown = expandedSource(instruction.source, { escape: context.escape, env: state.env, run: false });
  context.steps.push({
    kind: "copy",
    id: context.steps.length,
    title: nextTitle(state, shown, command.onbuild),
    source: instruction.source,
    place: { start: instruction.start, end: instruction.end },
    stage: state.shownName,
    parent: state.source,
    ignoreCache: state.ignoreCache,
    actions,
    link: instruction.link && request.chmod === "",
  });
  state.source = { kind: "step", step: context.steps.length - 1 };
  const flags = [
    instruction.kind === "copy" && instruction.parents ? " --parents" : "",
    request.chown === "" ? "" : ` --chown=${request.chown}`,
    request.chmod === "" ? "" : ` --chmod=${request.chmod}`,
  ];
  const names = [...sources, ...instruction.contents.map(({ path }) => `<<${path}`), given];
  state.image = withHistory(state.image, `${keyword}${flags.join("")} ${names.join(" ")} # buildkit`, "layer");
}

/** @throws build/invalid */
export function dispatchCopy(dispatch: CommandDispatch, instruction: CopyInstruction): void {
  const { command, expand, state } = dispatch;
  const [from] = command.sources;
  if (from !== undefined && !from.dispatched)
    throw problem(
      `cannot copy from stage ${goQuote(instruction.from)}, it needs to be defined before current stage ${goQuote(state.shownName)}`,
    );
  addStep(dispatch, {
    keyword: "COPY",
    instruction,
    source: from?.source ?? { kind: "context", name: "context" },
    fromContext: from === undefined,
    chown: expand(instruction.chown),
    chmod: expand(instruction.chmod),
    checksum: "",
  });
}

/** @throws build/invalid */
export function dispatchAdd(dispatch: CommandDispatch, instruction: AddInstruction): void {
  const { expand } = dispatch;
  addStep(dispatch, {
    keyword: "ADD",
    instruction,
    source: { kind: "context", name: "context" },
    fromContext: true,
    chown: expand(instruction.chown),
    chmod: expand(instruction.chmod),
    checksum: expand(instruction.checksum),
  });
}
