import { defaultScalar } from "./defaults.ts";
import { cleanPath } from "./paths.ts";
import { answerVariables } from "./resolve-environment.ts";
import { child, entryOf, isNull, map, mapChildren, mapOf, scalar, stringAt, withItems, withKey } from "./tree.ts";
import type { MapNode, Node } from "./tree.ts";

export interface NormalizeContext {
  readonly projectName: string;
  readonly lookup: (name: string) => string | undefined;
}

/** The last step on the tree: the default network, names of resources, dependencies that other keys imply, values of
 *  variables. Source: compose-go `loader/normalize.go`. */
export function normalize(root: MapNode, context: NormalizeContext): MapNode {
  const withServices = normalizeServices(withDefaultNetwork(root), context);
  let named = withServices;
  for (const section of ["networks", "volumes", "configs", "secrets"]) named = withNames(named, section, context);
  return named;
}

function withDefaultNetwork(root: MapNode): MapNode {
  let used = false;
  const changed = mapChildren(root, (section, name) => {
    if (name !== "services") return section;
    return mapChildren(section, (service) => {
      if (service.kind !== "map" || service.entries.has("provider") || service.entries.has("network_mode"))
        return service;
      const networks = child(service, "networks");
      if (networks?.kind === "map" && networks.entries.size > 0) {
        used ||= networks.entries.has("default");
        return service;
      }
      used = true;
      return withKey(service, "networks", mapOf([["default", defaultScalar(null, service)]], service));
    });
  }) as MapNode;
  const networks = child(changed, "networks");
  const all = networks?.kind === "map" ? networks : map(new Map(), root);
  if (!used || all.entries.has("default")) return changed;
  return withKey(changed, "networks", withKey(all, "default", defaultScalar(null, root)));
}

function normalizeServices(root: MapNode, context: NormalizeContext): MapNode {
  const services = child(root, "services");
  if (services === undefined) return root;
  return withKey(
    root,
    "services",
    mapChildren(services, (service) => normalizeService(service, context)),
  );
}

function normalizeService(node: Node, context: NormalizeContext): Node {
  if (node.kind !== "map") return node;
  let service = node;
  const change = (key: string, next: (value: Node) => Node): void => {
    const value = child(service, key);
    const changed = value === undefined ? undefined : next(value);
    if (changed !== undefined && changed !== value) service = withKey(service, key, changed);
  };
  change("pull_policy", (value) =>
    value.kind === "scalar" && value.value === "if_not_present" ? { ...value, value: "missing" } : value,
  );
  change("build", (build) => normalizeBuild(build, context));
  change("environment", (value) => answerVariables(value, context.lookup, true));
  change("volumes", (value) => mapChildren(value, cleanTarget));
  const dependencies = impliedDependencies(service);
  if (dependencies !== undefined) service = withKey(service, "depends_on", dependencies);
  change("pre_start", (hooks) => inheritImage(hooks, child(service, "image")));
  return service;
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

/** Undefined where nothing is implied. */
function impliedDependencies(service: MapNode): MapNode | undefined {
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

/** For a list that a caller has filtered. */
export function withoutItems(node: Node, drop: (item: Node) => boolean): Node {
  return node.kind === "seq"
    ? withItems(
        node,
        node.items.filter((item) => !drop(item)),
      )
    : node;
}
