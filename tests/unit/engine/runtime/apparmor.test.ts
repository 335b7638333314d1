import { describe, expect, test } from "vitest";
import {
  appArmorProfileOf,
  appArmorProfileText,
  checkAppArmor,
  defaultAppArmorProfile,
} from "../../../../src/engine/runtime/apparmor.ts";

test("the default profile forbids by path what the mounts and the filter forbid", () => {
  expect(appArmorProfileText("x")).toBe(`profile x flags=(attach_disconnected, mediate_deleted) {
  file,
  capability,
  network,
  unix,
  umount,
  deny network alg,
  deny mount,
  deny /proc/* wkl,
  deny /proc/[^1-9s]*/** wkl,
  deny /proc/s[^y]*/** wkl,
  deny /proc/sysvipc/** wkl,
  deny /proc/sys/[^k]*/** wkl,
  deny /proc/sys/k[^e]*/** wkl,
  deny /proc/sys/ke[^r]*/** wkl,
  deny /proc/sys/kernel/[^s]** wkl,
  deny /proc/sys/kernel/s[^h]** wkl,
  deny /proc/sys/kernel/sh[^m]** wkl,
  deny /sys/[^f]*/** wkl,
  deny /sys/f[^s]*/** wkl,
  deny /sys/fs/[^c]*/** wkl,
  deny /sys/fs/c[^g]*/** wkl,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
  signal (receive) peer=unconfined,
  signal (receive) peer=crun,
  signal (receive) peer=runc,
  signal (receive) peer=conmon,
  signal (send, receive) peer=x,
  ptrace (trace, read, tracedby, readby) peer=x,
}
`);
});

describe("a container runs under", () => {
  const full = { appArmor: true, appArmorParser: true };
  test.each<[object, boolean, string | undefined, string | undefined]>([
    [full, false, undefined, defaultAppArmorProfile],
    [full, true, undefined, "unconfined"],
    [full, false, "docker-default", defaultAppArmorProfile],
    [full, true, "own", "own"],
    [full, false, "unconfined", "unconfined"],
    [{ ...full, appArmorParser: false }, false, undefined, undefined],
    [{ ...full, appArmor: false }, false, undefined, undefined],
  ])("with %j, privileged %j and %j asked for: %j", (host, privileged, asked, expected) => {
    expect(appArmorProfileOf(host as typeof full, privileged, asked)).toBe(expected);
  });
});

test("a profile that is asked for on a kernel without AppArmor is refused, Docker's default too", () => {
  for (const asked of ["own", "docker-default"]) {
    expect(() => checkAppArmor({ appArmor: false, appArmorParser: true }, asked)).toThrow(
      "this kernel has no AppArmor",
    );
  }
  expect(() => checkAppArmor({ appArmor: false, appArmorParser: false }, "unconfined")).not.toThrow();
  expect(() => checkAppArmor({ appArmor: false, appArmorParser: false }, undefined)).not.toThrow();
});
