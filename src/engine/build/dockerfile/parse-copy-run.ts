/** COPY, ADD and RUN: the instructions with flags of their own, and with heredocs. */
import { readFlags } from "./flags.ts";
import type { FlagKind, FlagValues } from "./flags.ts";
import { goQuote, trimSpace } from "./go-text.ts";
import { chompHeredoc, heredocMarkOf } from "./heredoc.ts";
import type { AddInstruction, CommandLine, CopyInstruction, RunInstruction, SourceContent } from "./instruction.ts";
import { problem } from "./problem.ts";
import { checkRunMount, parseDevice } from "./run-mount.ts";
import type { SyntaxNode } from "./syntax-tree.ts";

/** What every instruction has. */
export function commonOf(node: SyntaxNode): Pick<RunInstruction, "source" | "keyword" | "comments" | "start" | "end"> {
  return {
    source: trimSpace(node.original),
    keyword: node.keyword,
    comments: node.comments,
    start: node.start,
    end: node.end,
  };
}

/** The words of the JSON form, else one text. */
export function handleJsonArguments(args: readonly string[], json: boolean): readonly string[] {
  return json || args.length === 0 ? args : [args.join(" ")];
}

export function commandLine(node: SyntaxNode): CommandLine {
  return {
    words: handleJsonArguments(node.args, node.json),
    shell: !node.json,
    heredocs: node.heredocs.map(({ name, content, chomp }) => ({ name, content, chomp })),
  };
}

interface SourcesAndDestination {
  readonly sources: readonly string[];
  readonly contents: readonly SourceContent[];
  readonly destination: string;
}

function sourcesAndDestination(node: SyntaxNode, keyword: "ADD" | "COPY"): SourcesAndDestination {
  const destination = node.args.at(-1) ?? "";
  if (heredocMarkOf(destination) !== undefined) throw problem(`${keyword} cannot accept a heredoc as a destination`);
  // Of several heredocs with one name the last one's content counts for all.
  const contentOf = new Map(node.heredocs.map((heredoc) => [heredoc.name, heredoc.content]));
  const sources: string[] = [];
  const contents: SourceContent[] = [];
  for (const source of node.args.slice(0, -1)) {
    const mark = heredocMarkOf(source);
    if (mark === undefined) {
      sources.push(source);
      continue;
    }
    const content = contentOf.get(mark.name) ?? "";
    contents.push({ path: mark.name, content: mark.chomp ? chompHeredoc(content) : content, expand: mark.expand });
  }
  return { sources, contents, destination };
}

const copyFlags = { chown: "text", chmod: "text", link: "boolean", exclude: "list" } as const satisfies Record<
  string,
  FlagKind
>;

function needsDestination(node: SyntaxNode, keyword: "ADD" | "COPY"): void {
  if (node.args.length >= 2) return;
  throw problem(
    `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
  );
}

function copyCommon(flags: FlagValues): Pick<CopyInstruction, "chown" | "chmod" | "link" | "exclude"> {
  return {
    chown: flags.text("chown"),
    chmod: flags.text("chmod"),
    link: flags.isTrue("link"),
    exclude: flags.list("exclude"),
  };
}

export function parseCopy(node: SyntaxNode): CopyInstruction {
  needsDestination(node, "COPY");
  const flags = readFlags(node.flags, { ...copyFlags, from: "text", parents: "boolean" });
  return {
    ...commonOf(node),
    kind: "copy",
    ...sourcesAndDestination(node, "COPY"),
    ...copyCommon(flags),
    from: flags.text("from"),
    parents: flags.isTrue("parents"),
  };
}

export function parseAdd(node: SyntaxNode): AddInstruction {
  needsDestination(node, "ADD");
  const flags = readFlags(node.flags, {
    ...copyFlags,
    checksum: "text",
    "keep-git-dir": "boolean",
    unpack: "boolean",
  });
  return {
    ...commonOf(node),
    kind: "add",
    ...sourcesAndDestination(node, "ADD"),
    ...copyCommon(flags),
    checksum: flags.text("checksum"),
    keepGitDir: flags.has("keep-git-dir") ? flags.isTrue("keep-git-dir") : undefined,
    unpack: flags.has("unpack") ? flags.isTrue("unpack") : undefined,
  };
}

export function parseRun(node: SyntaxNode): RunInstruction {
  const flags = readFlags(node.flags, { mount: "list", device: "list", network: "text", security: "text" });
  const command = commandLine(node);
  const devices = flags.list("device").map(parseDevice);
  const mounts = flags.list("mount");
  for (const mount of mounts) checkRunMount(mount);
  const network = flags.has("network") ? flags.text("network") : "default";
  if (network !== "default" && network !== "none" && network !== "host")
    throw problem(`invalid network mode ${goQuote(network)}`, "use default, none or host");
  const security = flags.has("security") ? flags.text("security") : "sandbox";
  if (security !== "sandbox" && security !== "insecure")
    throw problem(`security ${goQuote(security)} is not valid`, "use sandbox or insecure");
  return { ...commonOf(node), kind: "run", command, mounts, devices, network, security, flagsUsed: flags.used };
}
