import { describe, expect, test } from "vitest";
import { parseCdiSpec } from "../../../../src/engine/runtime/cdi/cdi-spec.ts";

const spec = (change: object): string =>
  JSON.stringify({ cdiVersion: "0.6.0", kind: "vendor.com/class", devices: [], ...change });
const device = (containerEdits: object, name: string | number = "a"): object => ({
  devices: [{ name, containerEdits }],
});

describe("a CDI specification", () => {
  test("in YAML is read with its edits", () => {
    const { kind, devices, edits } = parseCdiSpec(
      [
        "cdiVersion: 0.5.0",
        "kind: vendor.com/class",
        "containerEdits: {env: [A=1]}",
        "devices:",
        "- name: 0",
        "  containerEdits:",
        "    deviceNodes: [{path: /dev/x, type: u, major: 1, minor: 3, fileMode: 438}]",
        "    hooks: [{hookName: createContainer, path: /usr/bin/h, args: [h, x], timeout: 5}]",
        "    mounts: [{hostPath: /a, containerPath: /b}]",
      ].join("\n"),
    );
    expect([kind, edits.env]).toEqual(["vendor.com/class", ["A=1"]]);
    expect(devices.get("0")).toMatchObject({
      deviceNodes: [{ path: "/dev/x", type: "c", major: 1, minor: 3, fileMode: 438 }],
      hooks: [{ hookName: "createContainer", path: "/usr/bin/h", args: ["h", "x"], timeout: 5 }],
      mounts: [{ hostPath: "/a", containerPath: "/b", options: [] }],
    });
  });
  test.each<[string, string, string]>([
    ["text that is no object", "- a", "is not an object"],
    ["a kind without a vendor", spec({ kind: "gpu" }), "vendor.com/class"],
    ["no version", spec({ cdiVersion: undefined }), "cdiVersion must be text"],
    ["a name with a slash", spec(device({}, "a/b")), "device name"],
    ["a device twice", spec({ devices: [{ name: "a" }, { name: "a" }] }), "twice"],
    ["a relative device path", spec(device({ deviceNodes: [{ path: "dev/x" }] })), "absolute"],
    ["odd permissions", spec(device({ deviceNodes: [{ path: "/dev/x", permissions: "rwx" }] })), "permissions"],
    ["a negative number", spec(device({ deviceNodes: [{ path: "/dev/x", major: -1 }] })), "must be a number"],
    ["an unknown hook", spec(device({ hooks: [{ hookName: "later", path: "/h" }] })), "unknown hook later"],
    ["a relative hook", spec(device({ hooks: [{ hookName: "prestart", path: "h" }] })), "absolute"],
    ["what this engine cannot do", spec(device({ intelRdt: {} })), "does not support"],
  ])("with %s is refused", (_what, text, message) => {
    expect(() => parseCdiSpec(text)).toThrow(message);
  });
});
