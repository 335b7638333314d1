import { defaultScalar } from "./defaults.ts";
import { cleanPath } from "./paths.ts";
import { answerVariables } from "./resolve-environment.ts";
import {
  child,
  entryOf,
  isNull,
  map,
  mapChildren,
  mapOf,
  scalar,
  stringAt,
  withEntries,
  withKey,
  withValue,
} from "./tree.ts";
import type { MapNode, Node } from "./tree.ts";

export interface NormalizeContext {
  readonly projectName: string;
  readonly lookup: (name: string) => string | undefined;
}

/** The last step on the tree: the default network, names of resources, dependencies that other keys imply, values of
 *  variables. Source: compose-go `loader/normalize.go`. */
export function normalize(root: MapNode, context: NormalizeContext): MapNode {
  let named = normalizeServices(root, context);
  for (const section of ["networks", "volumes", "configs", "secrets"]) named = withNames(named, section, context);
  return named;
}

function normalizeServices(root: MapNode, context: NormalizeContext): MapNode {
  const services = child(root, "services");
  if (services?.kind !== "map") return root;
  let usesDefault = false;
  const changed = mapChildren(services, (service) => {
    if (service.kind !== "map") return service;
    const normal = normalizeService(service, context);
    const networks = child(normal, "networks");
    usesDefault ||= networks?.kind === "map" && networks.entries.has("default") && joinsNetworks(normal);
    return normal;
  });
  const result = withKey(root, "services", changed);
  const networks = child(root, "networks");
  const all = networks?.kind === "map" ? networks : map(new Map(), root);
  if (!usesDefault || all.entries.has("default")) return result;
  return withKey(result, "networks", withKey(all, "default", defaultScalar(null, root)));
}

function joinsNetworks(service: MapNode): boolean {
  return !service.entries.has("provider") && !service.entries.has("network_mode");
}

function normalizeService(service: MapNode, context: NormalizeContext): MapNode {
  // One copy for all changes: there are many services, and each has several.
  const entries = new Map(service.entries);
  const set = (key: string, value: Node): void => {
    const old = entries.get(key);
    entries.set(key, old === undefined ? entryOf(value) : withValue(old, value));
  };
  const change = (key: string, next: (value: Node) => Node): void => {
    const entry = entries.get(key);
    const changed = entry === undefined ? undefined : next(entry.value);
    if (changed !== undefined && changed !== entry?.value) set(key, changed);
  };
  const networks = child(service, "networks");
  if (joinsNetworks(service) && (networks?.kind !== "map" || networks.entries.size === 0)) {
    set("networks", mapOf([["default", defaultScalar(null, service)]], service));
  }
  change("pull_policy", (value) =>
    value.kind === "scalar" && value.value === "if_not_present" ? { ...value, value: "missing" } : value,
  );
  change("build", (build) => normalizeBuild(build, context));
  change("environment", (value) => answerVariables(value, context.lookup, true));
  change("volumes", (value) => mapChildren(value, cleanTarget));
  const dependencies = impliedDependencies(service);
  if (dependencies !== undefined) set("depends_on", dependencies);
  change("pre_start", (hooks) => inheritImage(hooks, child(service, "image")));
  return withEntries(service, entries);
}

function normalizeBuild(build: Node, context: NormalizeContext): Node {
  if (build.kind !== "map") return build;
  let node = build;
  if (isNull(child(node, "context")) || !node.entries.has("context")) {
    node = withKey(node, "context", defaultScalar(".", build));
  }
  const said = (key: string): boolean => node.entries.has(key) && !isNull(child(node, key));
  if (!said("dockerfile") && !said("dockerfile_inline")) {
    node = withKey(node, "dockerfile", defaultScalar("Dockerfile", build));
  }
  const args = child(node, "args");
  return args === undefined ? node : withKey(node, "args", answerVariables(args, context.lookup, false));
}

function cleanTarget(volume: Node): Node {
  const target = child(volume, "target");
  if (volume.kind !== "map" || target?.kind !== "scalar" || typeof target.value !== "string") return volume;
  const clean = cleanPath(target.value);
  return clean === target.value ? volume : withKey(volume, "target", { ...target, value: clean });
}

const sharedNamespaces = ["network_mode", "ipc", "pid", "uts", "cgroup"];
const implying = [...sharedNamespaces, "links", "volumes_from"];

/** Undefined where nothing is implied. */
function impliedDependencies(service: MapNode): MapNode | undefined {
  if (!implying.some((key) => service.entries.has(key))) return undefined;
  const declared = child(service, "depends_on");
  const entries = new Map(declared?.kind === "map" ? declared.entries : []);
  const before = entries.size;
  const add = (name: string, at: Node, restart: boolean): void => {
    if (entries.has(name)) return;
    const value = mapOf(
      [
        ["condition", scalar("service_started", at)],
        ["restart", scalar(restart, at)],
        ["required", scalar(true, at)],
      ],
      at,
    );
    entries.set(name, entryOf(value));
  };
  for (const link of texts(child(service, "links"))) {
    const parts = link.text.split(":");
    add(parts.length === 2 ? (parts[0] ?? "") : link.text, link.node, true);
  }
  for (const key of sharedNamespaces) {
    const node = child(service, key);
    const value = stringAt(service, key);
    if (node !== undefined && value?.startsWith("service:") === true) add(value.slice("service:".length), node, true);
  }
  for (const source of texts(child(service, "volumes_from"))) {
    if (!source.text.startsWith("container:")) add(source.text.split(":")[0] ?? "", source.node, false);
  }
  return entries.size === before ? undefined : map(entries, declared ?? service);
}

function texts(node: Node | undefined): { text: string; node: Node }[] {
  if (node?.kind !== "seq") return [];
  return node.items.flatMap((item) =>
    item.kind === "scalar" && typeof item.value === "string" ? [{ text: item.value, node: item }] : [],
  );
}

function inheritImage(hooks: Node, image: Node | undefined): Node {
  if (image?.kind !== "scalar" || typeof image.value !== "string" || image.value === "") return hooks;
  return mapChildren(hooks, (hook) =>
    hook.kind === "map" && !hook.entries.has("image") ? withKey(hook, "image", image) : hook,
  );
}

function withNames(root: MapNode, section: string, context: NormalizeContext): MapNode {
  const resources = child(root, section);
  if (resources?.kind !== "map") return root;
  const named = mapChildren(resources, (value, key) => {
    const resource = value.kind === "map" ? value : map(new Map(), value);
    if (resource.entries.has("name") && !isNull(child(resource, "name"))) return resource;
    const external = child(resource, "external");
    const outside = external?.kind === "scalar" && external.value === true;
    return withKey(resource, "name", defaultScalar(outside ? key : `${context.projectName}_${key}`, value));
  });
  return withKey(root, section, named);
}
