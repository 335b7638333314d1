/** One node of the syntax tree to one typed instruction. */
import { cut, trimSpace } from "./go-text.ts";
import { readFlags } from "./flags.ts";
import type { ArgDefinition, Instruction, InstructionOf, KeyValue } from "./instruction.ts";
import { commandLine, commonOf, handleJsonArguments, parseAdd, parseCopy, parseRun } from "./parse-copy-run.ts";
import { problem } from "./problem.ts";
import { parseHealthcheck } from "./parse-healthcheck.ts";
import type { SyntaxNode } from "./syntax-tree.ts";

type Kind = Instruction["kind"];

function exactlyOne(node: SyntaxNode, keyword: string): string {
  const [only] = node.args;
  if (node.args.length !== 1 || only === undefined) throw problem(`${keyword} requires exactly one argument`);
  return only;
}

function atLeastOne(node: SyntaxNode, keyword: string): readonly string[] {
  if (node.args.length === 0) throw problem(`${keyword} requires at least one argument`);
  return node.args;
}

function keyValues(node: SyntaxNode, keyword: "ENV" | "LABEL"): readonly KeyValue[] {
  readFlags(node.flags);
  const args = atLeastOne(node, keyword);
  const pairs: KeyValue[] = [];
  for (let at = 0; at < args.length; at += 3) {
    const key = args[at] ?? "";
    if (key === "") throw problem(`${keyword} names can not be blank`);
    pairs.push({ key, value: args[at + 1] ?? "", legacy: args[at + 2] === "" });
  }
  return pairs;
}

/** What a comment says about `name`: the first one that starts with it and a space. */
export function docComment(comments: readonly string[], name: string): string {
  if (name === "") return "";
  const prefix = `${name} `;
  return comments.find((comment) => comment.startsWith(prefix))?.slice(prefix.length) ?? "";
}

function parseArg(node: SyntaxNode): InstructionOf<"arg"> {
  const args = atLeastOne(node, "ARG").map((text): ArgDefinition => {
    const { before: key, after: value } = cut(text, "=");
    if (value !== undefined && key === "") throw problem("ARG names can not be blank");
    return { key, value, doc: docComment(node.comments, key) };
  });
  return { ...commonOf(node), kind: "arg", args };
}

function parseOnbuild(node: SyntaxNode): InstructionOf<"onbuild"> {
  const [first = ""] = atLeastOne(node, "ONBUILD");
  readFlags(node.flags);
  const trigger = trimSpace(first).toUpperCase();
  if (trigger === "ONBUILD") throw problem("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === "MAINTAINER" || trigger === "FROM") throw problem(`${trigger} isn't allowed as an ONBUILD trigger`);
  const text = node.original.replace(/^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*/i, "");
  const bodies = node.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
  return { ...commonOf(node), kind: "onbuild", expression: text + bodies.join("") };
}

function parseVolume(node: SyntaxNode): InstructionOf<"volume"> {
  const args = atLeastOne(node, "VOLUME");
  readFlags(node.flags);
  const volumes = args.map(trimSpace);
  if (volumes.includes("")) throw problem("VOLUME specified can not be an empty string");
  return { ...commonOf(node), kind: "volume", volumes };
}

function parseShell(node: SyntaxNode): InstructionOf<"shell"> {
  readFlags(node.flags);
  const shell = handleJsonArguments(node.args, node.json);
  if (shell.length === 0) throw problem("SHELL requires at least one argument");
  if (!node.json) throw problem("SHELL requires the arguments to be in JSON form", `write SHELL ["/bin/sh", "-c"]`);
  return { ...commonOf(node), kind: "shell", shell };
}

function parseCommandInstruction(node: SyntaxNode, kind: "cmd" | "entrypoint"): Instruction {
  readFlags(node.flags);
  return { ...commonOf(node), kind, command: commandLine(node) };
}

/** The order of checks is BuildKit's: the first that fails gives the message. */
const parsers: { readonly [K in Kind]: (node: SyntaxNode) => Instruction } = {
  add: parseAdd,
  arg: parseArg,
  cmd: (node) => parseCommandInstruction(node, "cmd"),
  copy: parseCopy,
  entrypoint: (node) => parseCommandInstruction(node, "entrypoint"),
  env: (node) => ({ ...commonOf(node), kind: "env", pairs: keyValues(node, "ENV") }),
  expose: (node) => {
    const ports = atLeastOne(node, "EXPOSE").toSorted(compareBytes);
    readFlags(node.flags);
    return { ...commonOf(node), kind: "expose", ports };
  },
  healthcheck: (node) => {
    atLeastOne(node, "HEALTHCHECK");
    return { ...commonOf(node), kind: "healthcheck", healthcheck: parseHealthcheck(node) };
  },
  label: (node) => ({ ...commonOf(node), kind: "label", pairs: keyValues(node, "LABEL") }),
  maintainer: (node) => {
    const maintainer = exactlyOne(node, "MAINTAINER");
    readFlags(node.flags);
    return { ...commonOf(node), kind: "maintainer", maintainer };
  },
  onbuild: parseOnbuild,
  run: parseRun,
  shell: parseShell,
  stopsignal: (node) => ({ ...commonOf(node), kind: "stopsignal", signal: exactlyOne(node, "STOPSIGNAL") }),
  user: (node) => {
    const user = exactlyOne(node, "USER");
    readFlags(node.flags);
    return { ...commonOf(node), kind: "user", user };
  },
  volume: parseVolume,
  workdir: (node) => {
    const path = exactlyOne(node, "WORKDIR");
    readFlags(node.flags);
    return { ...commonOf(node), kind: "workdir", path };
  },
};

/** By code point, which is the order of the UTF-8 bytes. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** @throws build/invalid where the instruction is malformed. */
export function parseInstruction(node: SyntaxNode, kind: Kind): Instruction {
  return parsers[kind](node);
}
