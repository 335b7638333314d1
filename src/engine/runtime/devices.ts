/** Devices of the host that a container may use: looked up on the host, turned into nodes and rules. */
import { readdirSync, statSync, type Stats } from "node:fs";
import { join } from "node:path";
import { TscomposeError } from "../../errors.ts";
import type { DeviceMapping } from "../types.ts";
import type { DeviceRuleSpec, DeviceSpec } from "./spec-types.ts";

export interface DevicePlan {
  readonly nodes: readonly DeviceSpec[];
  readonly rules: readonly DeviceRuleSpec[];
}

/** What everyone gets; the runtime makes the nodes. Source: security.md 1.6. */
const standardRules: readonly DeviceRuleSpec[] = [
  { allow: false, access: "rwm" },
  ...(
    [
      [1, 5],
      [1, 3],
      [1, 9],
      [1, 8],
      [5, 0],
      [5, 1],
    ] as const
  ).map(([major, minor]): DeviceRuleSpec => ({ allow: true, type: "c", major, minor, access: "rwm" })),
  { allow: false, type: "c", major: 10, minor: 229, access: "rwm" },
];

/** @throws request/invalid naming the device or the rule */
export function planDevices(wishes: {
  readonly privileged: boolean;
  readonly devices: readonly DeviceMapping[];
  readonly rules: readonly string[];
}): DevicePlan {
  const own = wishes.devices.flatMap(mapDevice);
  if (wishes.privileged) {
    return { nodes: [...hostDevices(), ...own.map(({ node }) => node)], rules: [{ allow: true, access: "rwm" }] };
  }
  return {
    nodes: own.map(({ node }) => node),
    rules: [...standardRules, ...own.map(({ rule }) => rule), ...wishes.rules.map(parseDeviceRule)],
  };
}

/** `c 1:3 mr`, `a *:* rwm`. @throws request/invalid */
export function parseDeviceRule(text: string): DeviceRuleSpec {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) {
    throw new TscomposeError("request/invalid", `invalid device cgroup format: '${text}'`, {
      hint: "write it as 'c 1:3 rwm'",
    });
  }
  const [, type, major, minor, access = ""] = match;
  return {
    allow: true,
    type: type as "a" | "c" | "b",
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
    access,
  };
}

/** Major and minor number of a device file. */
export function deviceNumbers(stat: Stats): { readonly major: number; readonly minor: number } {
  const device = BigInt(stat.rdev);
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

function mapDevice(mapping: DeviceMapping): readonly { readonly node: DeviceSpec; readonly rule: DeviceRuleSpec }[] {
  const access = mapping.CgroupPermissions === "" ? "rwm" : mapping.CgroupPermissions;
  if (!/^[rwm]{1,3}$/.test(access)) {
    throw new TscomposeError("request/invalid", `invalid device permissions for ${mapping.PathOnHost}: ${access}`);
  }
  const stat = statSync(mapping.PathOnHost, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) {
    return walk(mapping.PathOnHost).map((path) => {
      const inside = join(mapping.PathInContainer, path.slice(mapping.PathOnHost.length));
      return entry(inside, statSync(path), access);
    });
  }
  if (stat === undefined || !(stat.isCharacterDevice() || stat.isBlockDevice())) {
    const reason = stat === undefined ? "no such file or directory" : "not a device node";
    throw new TscomposeError(
      "request/invalid",
      `error gathering device information while adding custom device ${JSON.stringify(mapping.PathOnHost)}: ${reason}`,
      { hint: "check the path of the device on the host" },
    );
  }
  return [entry(mapping.PathInContainer || mapping.PathOnHost, stat, access)];
}

function entry(
  path: string,
  stat: Stats,
  access: string,
): { readonly node: DeviceSpec; readonly rule: DeviceRuleSpec } {
  const node = nodeSpec(path, stat);
  return { node, rule: { allow: true, type: node.type as "c" | "b", major: node.major, minor: node.minor, access } };
}

function nodeSpec(path: string, stat: Stats): DeviceSpec {
  return {
    path,
    type: stat.isBlockDevice() ? "b" : "c",
    ...deviceNumbers(stat),
    fileMode: stat.mode & 0o777,
    uid: stat.uid,
    gid: stat.gid,
  };
}

/** Every device below /dev but those that the container has its own of. */
function hostDevices(): readonly DeviceSpec[] {
  return walk("/dev").map((path) => nodeSpec(path, statSync(path)));
}

const skipped = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"]);

function walk(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((item) => {
    const path = join(directory, item.name);
    if (item.isDirectory()) return skipped.has(item.name) ? [] : walk(path);
    return item.isCharacterDevice() || (item.isBlockDevice() && !skipped.has(item.name)) ? [path] : [];
  });
}
