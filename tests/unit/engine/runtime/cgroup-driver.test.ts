import { describe, expect, test } from "vitest";
import { chooseCgroupDriver, slicePath } from "../../../../src/engine/runtime/cgroup-driver.ts";

const systemd = ["/run/systemd/system", "/run/dbus/system_bus_socket"];
const choose = (version: 1 | 2, wished: string | undefined, paths: readonly string[]) =>
  chooseCgroupDriver({ version }, wished, (path) => paths.includes(path));

describe("the cgroup driver", () => {
  test("is systemd where it runs the machine, with version 2 and D-Bus; else the runtime makes groups itself", () => {
    expect(choose(2, undefined, systemd)).toBe("systemd");
    expect(choose(2, "", systemd)).toBe("systemd");
    expect(choose(1, undefined, systemd)).toBe("cgroupfs");
    expect(choose(2, undefined, [])).toBe("cgroupfs");
    expect(choose(2, undefined, systemd.slice(0, 1))).toBe("cgroupfs");
  });

  test("can be asked for, and says why it cannot be had", () => {
    expect(choose(2, "cgroupfs", systemd)).toBe("cgroupfs");
    expect(choose(2, "systemd", systemd)).toBe("systemd");
    expect(() => choose(2, "systemd", [])).toThrow("this machine is not run by systemd (no /run/systemd/system)");
    expect(() => choose(2, "systemd", systemd.slice(0, 1))).toThrow("without D-Bus (no /run/dbus/system_bus_socket)");
    expect(() => choose(1, "systemd", systemd)).toThrow("this machine has version 1");
    expect(() => choose(2, "none", systemd)).toThrow("there is no driver none");
  });

  test("slices are below the slices that their names begin with", () => {
    expect(slicePath("-.slice")).toBe("");
    expect(slicePath("system.slice")).toBe("/system.slice");
    expect(slicePath("a-b-c.slice")).toBe("/a.slice/a-b.slice/a-b-c.slice");
    for (const bad of [
      "",
      "a",
      "/a",
      "a/b.slice",
      "a--b.slice",
      "-a.slice",
      "a-.slice",
      ".slice",
      "a.scope",
      "..",
      "../x.slice",
    ]) {
      expect(() => slicePath(bad), bad).toThrow('valid slice named as "xxx.slice"');
    }
  });
});
