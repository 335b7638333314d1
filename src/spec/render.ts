import { makeDict } from "./bind/decode.ts";
import { compareBytes } from "./compare.ts";
import type { Project, Service } from "./model.ts";
import { secretContentKey } from "./resolve-environment.ts";
import type { Node } from "./tree.ts";

/** The model as `config` prints it. JSON leaves out `x-*` inside sections and the `models` section, as Docker Compose does. */

export type Rendered = null | string | number | boolean | readonly Rendered[] | { readonly [key: string]: Rendered };

/** Plain data for `JSON.stringify`. Keys in Docker Compose's order. `content` of what comes from the environment is left out.
 *  @throws RangeError where Docker Compose's JSON form cannot say it: ssh keys with a path. */
export function renderJson(project: Project): Rendered {
  const sections: [string, unknown][] = [
    ["name", project.name],
    ["services", project.services],
  ];
  for (const section of ["networks", "volumes", "secrets", "configs"] as const) {
    if (Object.keys(project[section]).length > 0) sections.push([section, project[section]]);
  }
  sections.push(...Object.entries(project.extensions));
  const root = Object.create(null) as Record<string, Rendered>;
  for (const [key, value] of sections.toSorted(([a], [b]) => compareBytes(a, b))) {
    root[key] = key.startsWith("x-") ? (value as Rendered) : plainJson(value, [key]);
  }
  return root;
}

function plainJson(value: unknown, path: readonly string[]): Rendered {
  if (Array.isArray(value)) {
    if (path.length === 4 && path[0] === "services" && path[3] === "ssh") return value.map(sshJson);
    return value.map((item, index) => plainJson(item, [...path, String(index)]));
  }
  if (typeof value !== "object" || value === null) return value as Rendered;
  const isDict = Object.getPrototypeOf(value) === null;
  const result: Record<string, Rendered> = isDict ? (Object.create(null) as Record<string, Rendered>) : {};
  for (const [key, inner] of Object.entries(value)) {
    if (!isDict && key.startsWith("x-")) continue;
    if (hidesContent(path, key, value)) continue;
    result[key] = plainJson(inner, [...path, key]);
  }
  return result;
}

/** Content that was read from the environment is a secret's, or would hide where a config's came from. */
function hidesContent(path: readonly string[], key: string, object: object): boolean {
  if (key !== "content" || path.length !== 2) return false;
  return path[0] === "secrets" || (path[0] === "configs" && "environment" in object);
}

function sshJson(key: { readonly id: string; readonly path: string }): Rendered {
  if (key.path === "") return key.id;
  throw new RangeError(`ssh key "${key.id}" has a path`);
}

/** The tree before binding, for `--no-interpolate`: keys sorted, no content of secrets. */
export function renderModelTree(tree: Node): Rendered {
  if (tree.kind === "scalar") return typeof tree.value === "bigint" ? Number(tree.value) : tree.value;
  if (tree.kind === "seq") return tree.items.map(renderModelTree);
  const pairs = [...tree.entries].filter(([key]) => key !== secretContentKey);
  return makeDict(pairs.map(([key, entry]) => [key, renderModelTree(entry.value)] as const));
}

/** Plain data for a YAML writer: `x-*` everywhere, no empty `command`, structs that say nothing left out. */
export function renderYaml(project: Project): Rendered {
  const root: Record<string, Rendered> = project.name === "" ? {} : { name: project.name };
  root["services"] = yamlDict(project.services, (service) => yamlService(service));
  for (const section of ["networks", "volumes", "secrets", "configs", "models"] as const) {
    const resources: Readonly<Record<string, unknown>> = project[section];
    if (Object.keys(resources).length === 0) continue;
    root[section] = yamlDict(resources, (resource, name) => yamlValue(resource, [section, name]));
  }
  for (const [key, value] of Object.entries(project.extensions)) root[key] = value as Rendered;
  return root;
}

function yamlDict<T>(dict: Readonly<Record<string, T>>, render: (value: T, key: string) => Rendered): Rendered {
  return makeDict(Object.entries(dict).map(([key, value]) => [key, render(value, key)] as const));
}

function yamlService(service: Service): Rendered {
  return yamlValue(service, ["services", "*"]);
}

/** Structs that are no pointers in Docker Compose: left out of YAML while they are empty. */
const quietWhenEmpty = new Set(["ipam", "resources", "placement"]);

function yamlValue(value: unknown, path: readonly string[]): Rendered {
  if (Array.isArray(value)) {
    if (path.at(-1) === "ssh" && path.at(-2) === "build") return value.map(sshYaml);
    return value.map((item) => yamlValue(item, [...path, "[]"]));
  }
  if (typeof value !== "object" || value === null) return value as Rendered;
  if (path.at(-2) === "ulimits") return { soft: 0, hard: 0, ...value };
  const isDict = Object.getPrototypeOf(value) === null;
  const result: Record<string, Rendered> = isDict ? (Object.create(null) as Record<string, Rendered>) : {};
  for (const [key, inner] of Object.entries(value)) {
    if (!isDict && leftOut(key, inner, path)) continue;
    if (hidesContent(path, key, value)) continue;
    result[yamlKey(key, path)] = yamlValue(inner, [...path, key]);
  }
  return result;
}

function leftOut(key: string, value: unknown, path: readonly string[]): boolean {
  if ((key === "command" || key === "entrypoint") && value === null) return true;
  if (key === "exec" && path.includes("watch")) return isEmptyHook(value);
  return quietWhenEmpty.has(key) && typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function isEmptyHook(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every((inner) => inner === null);
}

/** The two structs without JSON names have lower-case ones in YAML. */
function yamlKey(key: string, path: readonly string[]): string {
  return path.includes("blkio_config") ? key.toLowerCase() : key;
}

function sshYaml(key: { readonly id: string; readonly path: string }): Rendered {
  return key.path === "" ? key.id : `${key.id}: ${key.path}`;
}
