import type { Variable, VariableScope } from "./env-context.ts";
import type { Origin, OriginKind, VariableOrigin } from "./load-options.ts";
import type { Project } from "./model.ts";
import type { FileOrigins } from "./service-env.ts";
import { lineAndColumn } from "./source.ts";
import { extractVariables } from "./template.ts";
import { child, locate, toPlain } from "./tree.ts";
import type { MapNode, Node, ScalarNode } from "./tree.ts";

export interface History {
  readonly tree: MapNode;
  readonly scopes: ReadonlyMap<string, VariableScope>;
  readonly fileOrigins: FileOrigins;
  readonly project: Project;
}

/** The value at a path of the model and everything it won against, the winner first. */
export function explain(history: History, path: readonly string[]): readonly Origin[] | undefined {
  const [section, service = "", key, name] = path;
  const keyed = section === "services" && path.length === 4 && name !== undefined;
  if (keyed && (key === "environment" || key === "labels")) return explainPair(history, service, key, name);
  const node = locate(history.tree, path);
  return node === undefined ? undefined : originsOf(node, history);
}

/** Variables and labels: those of the compose files over those of `env_file` and `label_file`. */
function explainPair(
  history: History,
  service: string,
  key: "environment" | "labels",
  name: string,
): readonly Origin[] | undefined {
  const node = findPair(child(child(child(history.tree, "services"), service), key), name);
  const own = node === undefined ? [] : originsOf(node, history, name);
  const prefix = key === "environment" ? "env" : "label";
  const kind: OriginKind = key === "environment" ? "env-file" : "label-file";
  const read = history.fileOrigins.get(`${prefix}\0${service}\0${name}`) ?? [];
  const fromFiles = read.toReversed().map((place): Origin => ({ kind, ...place }));
  const all = [...own, ...fromFiles];
  return all.length === 0 ? undefined : all;
}

function findPair(node: Node | undefined, name: string): Node | undefined {
  if (node?.kind === "map") return node.entries.get(name)?.value;
  if (node?.kind !== "seq") return undefined;
  return node.items.findLast((item) => {
    return item.kind === "scalar" && typeof item.value === "string" && keyOf(item.value) === name;
  });
}

function keyOf(pair: string): string {
  return pair.includes("=") ? pair.slice(0, pair.indexOf("=")) : pair;
}

function originsOf(node: Node, history: History, pairName?: string): Origin[] {
  return [node, ...(node.beats ?? [])].flatMap((one) => {
    // What was beaten may have been a whole map, of which only this pair counts.
    const relevant = pairName !== undefined && one.kind !== "scalar" ? findPair(one, pairName) : one;
    return relevant === undefined ? [] : [originOf(relevant, history, pairName)];
  });
}

function originOf(node: Node, history: History, pairName: string | undefined): Origin {
  const { line, column } = lineAndColumn(node.file, node.start);
  const place = { file: node.file.path, line, column };
  const value = node.kind === "scalar" && pairName !== undefined ? withoutKey(node.value, pairName) : toPlain(node);
  if (node.kind !== "scalar" || node.written === undefined) return { kind: node.file.role, value, ...place };
  const scope = history.scopes.get(node.file.path);
  const answered = pairName !== undefined && node.written === pairName ? scope?.values.get(pairName) : undefined;
  if (answered !== undefined) {
    const variables = [variableOrigin(pairName ?? "", answered)];
    return { kind: answered.kind === "shell" ? "shell" : "dotenv", value, written: node.written, variables, ...place };
  }
  return { kind: node.file.role, value, written: node.written, ...place, ...variablesOf(node, scope) };
}

function withoutKey(value: unknown, name: string): unknown {
  if (typeof value !== "string" || !value.startsWith(`${name}=`)) return value === name ? null : value;
  return value.slice(name.length + 1);
}

function variablesOf(node: ScalarNode, scope: VariableScope | undefined): { variables?: readonly VariableOrigin[] } {
  const names = new Set(extractVariables(node.written ?? "").map((variable) => variable.name));
  if (names.size === 0) return {};
  return { variables: [...names].map((name) => variableOrigin(name, scope?.values.get(name))) };
}

function variableOrigin(name: string, variable: Variable | undefined): VariableOrigin {
  if (variable === undefined) return { name, value: undefined, kind: "unset" };
  const { value, kind, file, line, beats = [] } = variable;
  return {
    name,
    value,
    kind,
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(beats.length === 0 ? {} : { beats: beats.map((one) => variableOrigin(name, one)) }),
  };
}

/** `services.web.labels.a.b` to the keys of the model it names: where a key has dots of its own, the longest that fits. */
export function parseModelPath(text: string, project: Project): readonly string[] {
  const root: unknown = { ...project.extensions, ...project };
  return readPath(text.replaceAll(/\[(\d+)\]/g, ".$1").split("."), root) ?? text.split(".");
}

function readPath(steps: readonly string[], value: unknown): readonly string[] | undefined {
  if (steps.length === 0) return [];
  if (typeof value !== "object" || value === null) return undefined;
  for (let length = steps.length; length > 0; length--) {
    const key = steps.slice(0, length).join(".");
    if (!Object.hasOwn(value, key)) continue;
    const rest = readPath(steps.slice(length), (value as Record<string, unknown>)[key]);
    if (rest !== undefined) return [key, ...rest];
  }
  return undefined;
}
