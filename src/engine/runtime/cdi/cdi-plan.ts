/** The edits of the CDI devices of a container, as parts of its runtime specification. Device files are looked up on the host. */
import { statSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { deviceNumbers } from "../devices.ts";
import type { DeviceRuleSpec, DeviceSpec, HooksSpec, HookSpec, MountSpec } from "../spec-types.ts";
import type { CdiDevices } from "./cdi-registry.ts";
import type { CdiDeviceNode, CdiEdits, CdiSpec } from "./cdi-spec.ts";

export interface CdiPlan {
  readonly env: readonly string[];
  readonly nodes: readonly DeviceSpec[];
  readonly rules: readonly DeviceRuleSpec[];
  readonly mounts: readonly MountSpec[];
  readonly hooks: HooksSpec;
  readonly additionalGids: readonly number[];
}

export const noCdi: CdiPlan = { env: [], nodes: [], rules: [], mounts: [], hooks: {}, additionalGids: [] };

/** @throws container/start-failed for a device file that is gone */
export function planCdi(names: readonly string[], devices: CdiDevices): CdiPlan {
  if (names.length === 0) return noCdi;
  const files = new Set<CdiSpec>();
  const edits: CdiEdits[] = [];
  for (const name of names) {
    const found = devices.editsOf(name);
    if (found === undefined) continue; // `requestedDevices` has refused it
    if (!files.has(found.file)) edits.push(found.file.edits);
    files.add(found.file);
    edits.push(found.device);
  }
  const nodes = edits.flatMap((edit) => edit.deviceNodes).map(nodeSpec);
  return {
    env: edits.flatMap((edit) => edit.env),
    nodes: nodes.map(({ node }) => node),
    rules: nodes.flatMap(({ rule }) => (rule === undefined ? [] : [rule])),
    mounts: edits
      .flatMap((edit) => edit.mounts)
      .map(({ hostPath, containerPath, options, type }) => ({
        destination: containerPath,
        source: hostPath,
        type: type ?? "bind",
        options: options.length > 0 ? options : ["rbind", "rprivate", "rw"],
      })),
    hooks: hooksOf(edits),
    additionalGids: edits.flatMap((edit) => edit.additionalGids),
  };
}

function nodeSpec(node: CdiDeviceNode): { readonly node: DeviceSpec; readonly rule: DeviceRuleSpec | undefined } {
  const source = node.hostPath ?? node.path;
  const stat = statSync(source, { throwIfNoEntry: false });
  const known = node.type !== undefined && node.major !== undefined && node.minor !== undefined;
  if (stat === undefined && !known) {
    throw new TscomposeError("container/start-failed", `the CDI device file ${source} is not there`, {
      hint: "load its driver, or write the CDI specification anew",
    });
  }
  const type = node.type ?? (stat?.isBlockDevice() === true ? "b" : stat?.isFIFO() === true ? "p" : "c");
  const numbers = stat === undefined ? { major: 0, minor: 0 } : deviceNumbers(stat);
  const major = node.major ?? numbers.major;
  const minor = node.minor ?? numbers.minor;
  const spec: DeviceSpec = {
    path: node.path,
    type: type as DeviceSpec["type"],
    major,
    minor,
    fileMode: node.fileMode ?? (stat === undefined ? 0o666 : stat.mode & 0o777),
    uid: node.uid ?? stat?.uid ?? 0,
    gid: node.gid ?? stat?.gid ?? 0,
  };
  if (type !== "b" && type !== "c") return { node: spec, rule: undefined };
  return { node: spec, rule: { allow: true, type, major, minor, access: node.permissions ?? "rwm" } };
}

function hooksOf(edits: readonly CdiEdits[]): HooksSpec {
  const stages: Record<string, HookSpec[]> = {};
  for (const { hookName, path, args, env, timeout } of edits.flatMap((edit) => edit.hooks)) {
    (stages[hookName] ??= []).push({
      path,
      ...(args.length > 0 ? { args } : {}),
      ...(env.length > 0 ? { env } : {}),
      ...(timeout === undefined ? {} : { timeout }),
    });
  }
  return stages;
}
