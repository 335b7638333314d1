/** A specification file of the Container Device Interface: JSON or YAML text -> what its devices change in a container. Pure.
 *  Source: cncf-tags/container-device-interface SPEC.md 0.8 to 1.0. */
import { parse } from "yaml";
import { TscomposeError } from "../../../errors.ts";

export interface CdiDeviceNode {
  readonly path: string;
  /** Absent: the same as `path`. */
  readonly hostPath?: string;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly permissions?: string;
  readonly uid?: number;
  readonly gid?: number;
}
export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly options: readonly string[];
  readonly type?: string;
}
export interface CdiHook {
  /** Stage of the OCI runtime specification. */
  readonly hookName: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}
export interface CdiEdits {
  readonly env: readonly string[];
  readonly deviceNodes: readonly CdiDeviceNode[];
  readonly mounts: readonly CdiMount[];
  readonly hooks: readonly CdiHook[];
  readonly additionalGids: readonly number[];
}
export interface CdiSpec {
  /** `vendor.com/class`. */
  readonly kind: string;
  /** For each container that gets any of the devices. */
  readonly edits: CdiEdits;
  readonly devices: ReadonlyMap<string, CdiEdits>;
}

export const noEdits: CdiEdits = { env: [], deviceNodes: [], mounts: [], hooks: [], additionalGids: [] };

const kindPattern = /^[A-Za-z][A-Za-z0-9_.-]*\/[A-Za-z][A-Za-z0-9_-]*$/;
const namePattern = /^[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;
const hookStages = new Set("prestart createRuntime createContainer startContainer poststart poststop".split(" "));

/** @throws request/invalid saying what is wrong; the caller adds the file */
export function parseCdiSpec(text: string): CdiSpec {
  const spec = object(parse(text, { maxAliasCount: 100 }), "the file");
  const kind = textOf(spec["kind"], "kind");
  if (!kindPattern.test(kind)) throw wrong(`kind ${JSON.stringify(kind)} is not of the form vendor.com/class`);
  textOf(spec["cdiVersion"], "cdiVersion");
  const devices = new Map<string, CdiEdits>();
  for (const item of list(spec["devices"], "devices")) {
    const device = object(item, "a device");
    const name =
      typeof device["name"] === "number" ? String(device["name"]) : textOf(device["name"], "a device's name");
    if (!namePattern.test(name)) throw wrong(`device name ${JSON.stringify(name)}`);
    if (devices.has(name)) throw wrong(`device ${name} is there twice`);
    devices.set(name, editsOf(device["containerEdits"], `device ${name}`));
  }
  return { kind, edits: editsOf(spec["containerEdits"], "containerEdits"), devices };
}

function editsOf(value: unknown, where: string): CdiEdits {
  if (value === undefined || value === null) return noEdits;
  const edits = object(value, where);
  const unknown = ["intelRdt", "netDevices"].find((key) => edits[key] !== undefined);
  if (unknown !== undefined) throw wrong(`${where} asks for ${unknown}, which this engine does not support`);
  return {
    env: texts(edits["env"], `${where}: env`),
    deviceNodes: list(edits["deviceNodes"], `${where}: deviceNodes`).map((node) => nodeOf(object(node, where), where)),
    mounts: list(edits["mounts"], `${where}: mounts`).map((mount) => mountOf(object(mount, where), where)),
    hooks: list(edits["hooks"], `${where}: hooks`).map((hook) => hookOf(object(hook, where), where)),
    additionalGids: list(edits["additionalGids"], where).map((gid) => numberOf(gid, `${where}: additionalGids`) ?? 0),
  };
}

function nodeOf(node: Fields, where: string): CdiDeviceNode {
  const permissions = optionalText(node["permissions"], where);
  if (permissions !== undefined && !/^[rwm]{1,3}$/.test(permissions))
    throw wrong(`${where}: permissions ${permissions}`);
  const type = optionalText(node["type"], where);
  if (type !== undefined && !["b", "c", "u", "p", ""].includes(type)) throw wrong(`${where}: device type ${type}`);
  return {
    path: absolute(node["path"], where),
    ...(node["hostPath"] === undefined ? {} : { hostPath: absolute(node["hostPath"], where) }),
    ...(type ? { type: type === "u" ? "c" : type } : {}),
    ...(permissions ? { permissions } : {}),
    ...numbers(node, ["major", "minor", "fileMode", "uid", "gid"], where),
  };
}

function mountOf(mount: Fields, where: string): CdiMount {
  const type = optionalText(mount["type"], where);
  return {
    hostPath: textOf(mount["hostPath"], `${where}: hostPath`),
    containerPath: absolute(mount["containerPath"], where),
    options: texts(mount["options"], where),
    ...(type === undefined ? {} : { type }),
  };
}

function hookOf(hook: Fields, where: string): CdiHook {
  const hookName = textOf(hook["hookName"], where);
  if (!hookStages.has(hookName)) throw wrong(`${where}: unknown hook ${hookName}`);
  return {
    hookName,
    path: absolute(hook["path"], where),
    args: texts(hook["args"], where),
    env: texts(hook["env"], where),
    ...numbers(hook, ["timeout"], where),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function object(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(`${where} is not an object`);
  return value as Fields;
}
function list(value: unknown, where: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong(`${where} is not a list`);
  return value as readonly unknown[];
}
function textOf(value: unknown, where: string): string {
  if (typeof value !== "string" || value.includes("\0")) throw wrong(`${where} must be text`);
  return value;
}
const texts = (value: unknown, where: string): readonly string[] =>
  list(value, where).map((item) => textOf(item, where));
const optionalText = (value: unknown, where: string): string | undefined =>
  value === undefined || value === null ? undefined : textOf(value, where);
function absolute(value: unknown, where: string): string {
  const path = textOf(value, where);
  if (!path.startsWith("/")) throw wrong(`${where}: ${path} is not an absolute path`);
  return path;
}
function numberOf(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw wrong(`${where} must be a number`);
  return value;
}
function numbers<K extends string>(fields: Fields, keys: readonly K[], where: string): { readonly [P in K]?: number } {
  const entries = keys.flatMap((key) => {
    const number = numberOf(fields[key], `${where}: ${key}`);
    return number === undefined ? [] : [[key, number] as const];
  });
  return Object.fromEntries(entries) as { readonly [P in K]?: number };
}

function wrong(reason: string): TscomposeError {
  return new TscomposeError("request/invalid", reason);
}
