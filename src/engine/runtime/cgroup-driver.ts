/** Who makes the groups of containers: systemd, as scopes below its slices, or the runtime itself, as directories below a group of the
 *  engine's own. Where systemd owns the tree of cgroup version 2, groups that it has not made are not for others to make: see
 *  systemd.io, "Control Group APIs and Delegation". */
import { existsSync } from "node:fs";
import { TscomposeError } from "../../errors.ts";
import type { CgroupMounts } from "../../host/cgroup.ts";

export type CgroupDriver = "systemd" | "cgroupfs";

const bootedWithSystemd = "/run/systemd/system";
const systemBus = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"];

/** As Docker chooses: systemd's where it runs the machine and cgroup version 2 is in use. `wished`: undefined or empty: choose.
 *  @throws request/invalid for no driver's name, host/unsupported for systemd where there is none */
export function chooseCgroupDriver(
  mounts: Pick<CgroupMounts, "version">,
  wished: string | undefined,
  exists: (path: string) => boolean = existsSync,
): CgroupDriver {
  const obstacle = obstacleToSystemd(mounts, exists);
  switch (wished ?? "") {
    case "":
      return obstacle === undefined ? "systemd" : "cgroupfs";
    case "cgroupfs":
      return "cgroupfs";
    case "systemd":
      if (obstacle === undefined) return "systemd";
      throw new TscomposeError("host/unsupported", `TSCOMPOSE_CGROUP_DRIVER=systemd: ${obstacle}`, {
        hint: "leave the variable out, or set it to cgroupfs",
      });
    default:
      throw new TscomposeError("request/invalid", `TSCOMPOSE_CGROUP_DRIVER: there is no driver ${wished}`, {
        hint: "use systemd or cgroupfs",
      });
  }
}

function obstacleToSystemd(
  { version }: Pick<CgroupMounts, "version">,
  exists: (path: string) => boolean,
): string | undefined {
  if (!exists(bootedWithSystemd)) return `this machine is not run by systemd (no ${bootedWithSystemd})`;
  if (version === 1) return "systemd's scopes are used with cgroup version 2 only, and this machine has version 1";
  if (!systemBus.some(exists)) return `systemd cannot be asked without D-Bus (no ${systemBus[0]}): install dbus`;
  return undefined;
}

/** Where a slice is below the root of the hierarchy: `a-b.slice` -> `/a.slice/a-b.slice`; the root slice `-.slice` -> ``.
 *  @throws request/invalid for what is no slice. Source: systemd.slice(5) */
export function slicePath(slice: string): string {
  if (slice === "-.slice") return "";
  const name = /^([a-zA-Z0-9:_.\\@]+(?:-[a-zA-Z0-9:_.\\@]+)*)\.slice$/.exec(slice)?.[1];
  if (name === undefined) {
    throw new TscomposeError(
      "request/invalid",
      `cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice", not ${JSON.stringify(slice)}`,
      {
        hint: "name a slice, or set TSCOMPOSE_CGROUP_DRIVER=cgroupfs for the engine",
        details: { field: "CgroupParent" },
      },
    );
  }
  const parts = name.split("-");
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}
