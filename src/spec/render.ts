import { makeDict } from "./bind/decode.ts";
import { compareBytes } from "./compare.ts";
import type { Project, SshKey } from "./model.ts";
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
    const resources = project[section] as Project["secrets"];
    if (Object.keys(resources).length > 0) sections.push([section, printableObjects(section, resources)]);
  }
  sections.push(...Object.entries(project.extensions));
  const root = Object.create(null) as Record<string, Rendered>;
  for (const [key, value] of sections.toSorted(([a], [b]) => compareBytes(a, b))) {
    root[key] = key.startsWith("x-") ? (value as Rendered) : plainJson(value, key);
  }
  return root;
}

function plainJson(value: unknown, key: string): Rendered {
  if (typeof value !== "object" || value === null) return value as Rendered;
  if (Array.isArray(value)) {
    return value.map((item: unknown) => (key === "ssh" && isSshKey(item) ? sshJson(item) : plainJson(item, "")));
  }
  const isDict = Object.getPrototypeOf(value) === null;
  const result: Record<string, Rendered> = isDict ? (Object.create(null) as Record<string, Rendered>) : {};
  const record = value as Record<string, unknown>;
  for (const name of Object.keys(record)) {
    if (isDict || !name.startsWith("x-")) result[name] = plainJson(record[name], isDict ? "" : name);
  }
  return result;
}

function isSshKey(value: unknown): value is SshKey {
  return typeof value === "object" && value !== null && "id" in value && "path" in value;
}

/** Content that was read from the environment is a secret's, or would hide where a config's came from. */
function printableObjects(section: string, resources: Project["secrets"]): Project["secrets"] {
  if (section !== "secrets" && section !== "configs") return resources;
  return makeDict(
    Object.entries(resources).map(([name, object]) => {
      if (object.content === undefined || (section === "configs" && object.environment === undefined)) {
        return [name, object] as const;
      }
      const { content: _, ...rest } = object;
      return [name, rest] as const;
    }),
  );
}

function sshJson(key: SshKey): Rendered {
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
  root["services"] = yamlValue(project.services, "", "");
  for (const section of ["networks", "volumes", "secrets", "configs", "models"] as const) {
    const resources = printableObjects(section, project[section] as Project["secrets"]);
    if (Object.keys(resources).length > 0) root[section] = yamlValue(resources, "", "");
  }
  for (const [key, value] of Object.entries(project.extensions)) root[key] = value as Rendered;
  return root;
}

/** Structs that are no pointers in Docker Compose: left out of YAML while they are empty. */
const quietWhenEmpty = new Set(["ipam", "resources", "placement"]);
/** The two structs without JSON names have lower-case ones in YAML. */
const unnamed = new Map([
  ["Path", "path"],
  ["Rate", "rate"],
  ["Weight", "weight"],
]);

/** `key`: the struct field the value stands in, "" in a dict; `parent`: the field that the struct or dict stands in. */
function yamlValue(value: unknown, key: string, parent: string): Rendered {
  if (typeof value !== "object" || value === null) return value as Rendered;
  if (Array.isArray(value)) {
    return value.map((item: unknown) => (key === "ssh" && isSshKey(item) ? sshYaml(item) : yamlValue(item, "", key)));
  }
  if (parent === "ulimits") return { soft: 0, hard: 0, ...value };
  const isDict = Object.getPrototypeOf(value) === null;
  const result: Record<string, Rendered> = isDict ? (Object.create(null) as Record<string, Rendered>) : {};
  const record = value as Record<string, unknown>;
  for (const name of Object.keys(record)) {
    const inner = record[name];
    if (isDict) result[name] = yamlValue(inner, "", key);
    else if (!leftOut(name, inner, parent)) result[unnamed.get(name) ?? name] = yamlValue(inner, name, key);
  }
  return result;
}

function leftOut(key: string, value: unknown, parent: string): boolean {
  if ((key === "command" || key === "entrypoint") && value === null) return true;
  if (key === "exec" && parent === "watch") return isEmptyHook(value);
  return quietWhenEmpty.has(key) && typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function isEmptyHook(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every((inner) => inner === null);
}

function sshYaml(key: SshKey): Rendered {
  return key.path === "" ? key.id : `${key.id}: ${key.path}`;
}
