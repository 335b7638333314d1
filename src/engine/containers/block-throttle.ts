/** How fast a container may read and write single devices, in the kernel's files. Source: Linux admin-guide/cgroup-v1/blkio-controller
 *  and cgroup-v2, io.max. */
import { statSync } from "node:fs";
import { readCgroupFile, writeCgroupFile, type CgroupMounts } from "../../host/cgroup.ts";
import { deviceNumbers } from "../runtime/devices.ts";
import type { HostConfig } from "../types.ts";

export const throttleFields = [
  "BlkioDeviceReadBps",
  "BlkioDeviceWriteBps",
  "BlkioDeviceReadIOps",
  "BlkioDeviceWriteIOps",
] as const;
type ThrottleField = (typeof throttleFields)[number];
type Throttles = NonNullable<HostConfig[ThrottleField]>;

const firstVersion: Readonly<Record<ThrottleField, string>> = {
  BlkioDeviceReadBps: "blkio.throttle.read_bps_device",
  BlkioDeviceWriteBps: "blkio.throttle.write_bps_device",
  BlkioDeviceReadIOps: "blkio.throttle.read_iops_device",
  BlkioDeviceWriteIOps: "blkio.throttle.write_iops_device",
};
const secondVersion: Readonly<Record<ThrottleField, string>> = {
  BlkioDeviceReadBps: "rbps",
  BlkioDeviceWriteBps: "wbps",
  BlkioDeviceReadIOps: "riops",
  BlkioDeviceWriteIOps: "wiops",
};

const numbersOf = (path: string): string => {
  const { major, minor } = deviceNumbers(statSync(path));
  return `${major}:${minor}`;
};

interface Group {
  readonly mounts: CgroupMounts;
  readonly group: string;
}

/** Puts `after` in the place of `before`; a device that is no longer named gets free. @throws the system's error */
export function changeThrottles(
  { mounts, group }: Group,
  field: ThrottleField,
  { before, after }: { readonly before: Throttles; readonly after: Throttles },
): void {
  const freed = before.filter(({ Path }) => !after.some((other) => other.Path === Path));
  for (const { Path, Rate } of [...freed.map(({ Path }) => ({ Path, Rate: 0 })), ...after]) {
    const device = numbersOf(Path);
    const [file, text] =
      mounts.version === 1
        ? [firstVersion[field], `${device} ${Rate}`]
        : ["io.max", `${device} ${secondVersion[field]}=${Rate === 0 ? "max" : String(Rate)}`];
    writeCgroupFile({ mountPoint: mountPointOf(mounts), group }, file, text);
  }
}

/** The rates that the kernel has for the devices that were asked for; undefined: it has no such file. */
export function readThrottles({ mounts, group }: Group, field: ThrottleField, asked: Throttles): Throttles | undefined {
  const file = mounts.version === 1 ? firstVersion[field] : "io.max";
  const text = readCgroupFile(mountPointOf(mounts), group, file);
  if (text === undefined) return undefined;
  const rates = new Map(
    text.split("\n").map((line) => parseRate(line, mounts.version === 1 ? "" : secondVersion[field])),
  );
  return asked.flatMap(({ Path }) => {
    const rate = rates.get(devicesOf(Path));
    return rate === undefined || Number.isNaN(rate) ? [] : [{ Path, Rate: rate }];
  });
}

/** `8:0 1048576`, or `8:0 rbps=1048576 wbps=max` with the key of one of them. */
function parseRate(line: string, key: string): readonly [string, number] {
  const [device = "", ...values] = line.split(" ");
  const value = key === "" ? values[0] : values.find((text) => text.startsWith(`${key}=`))?.slice(key.length + 1);
  return [device, Number(value === undefined || value === "max" ? Number.NaN : value)];
}

/** Of a device that has gone: none. */
function devicesOf(path: string): string {
  try {
    return numbersOf(path);
  } catch {
    return "";
  }
}

const mountPointOf = ({ controllers, version }: CgroupMounts): string =>
  controllers.get(version === 1 ? "blkio" : "io") ?? "/nonexistent";
