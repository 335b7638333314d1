import { describe, expect, test } from "vitest";
import { customSeccomp, defaultSeccomp } from "../../../../src/engine/runtime/seccomp.ts";
import type { SeccompRuleSpec } from "../../../../src/engine/runtime/spec-types.ts";

const rules = (capabilities: readonly string[] = []): readonly SeccompRuleSpec[] =>
  defaultSeccomp(capabilities, "x64").syscalls ?? [];
const plain = (capabilities: readonly string[] = []): readonly string[] =>
  rules(capabilities)
    .filter(({ args, action }) => args === undefined && action === "SCMP_ACT_ALLOW")
    .flatMap(({ names }) => names);

test("everything that is not named is refused with EPERM", () => {
  expect(defaultSeccomp([], "x64")).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
});

test("what has broken containers out before is not among the calls that are always allowed", () => {
  const blocked =
    "mount umount2 unshare setns open_by_handle_at keyctl add_key request_key bpf userfaultfd io_uring_setup kexec_load init_module pivot_root perf_event_open fsopen move_mount clone3 socket personality clone";
  expect(blocked.split(" ").filter((name) => plain().includes(name))).toEqual([]);
  expect(plain()).toHaveLength(new Set(plain()).size);
});

test("sockets of AF_ALG and AF_VSOCK cannot be made", () => {
  const conditions = rules().filter(({ names }) => names.includes("socket"));
  const allows = (family: number): boolean =>
    conditions.some(({ args }) =>
      args?.every(({ op, value }) => (op === "SCMP_CMP_LT" ? family < value : family === value)),
    );
  expect([1, 2, 10, 16, 17].map(allows)).toEqual([true, true, true, true, true]);
  expect([38, 40].map(allows)).toEqual([false, false]);
});

test("clone may not make namespaces, and clone3 answers ENOSYS so that the C library falls back", () => {
  expect(rules().find(({ names }) => names[0] === "clone")?.args).toEqual([
    { index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" },
  ]);
  expect(rules().find(({ names }) => names[0] === "clone3")).toMatchObject({ action: "SCMP_ACT_ERRNO", errnoRet: 38 });
});

test("a capability brings the calls that it is for", () => {
  expect(plain(["CAP_SYS_ADMIN"])).toEqual(expect.arrayContaining(["mount", "unshare", "clone", "clone3"]));
  expect(plain(["CAP_SYS_CHROOT"])).toContain("chroot");
  expect(plain()).not.toContain("chroot");
});

describe("a profile of the user's", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
    syscalls: [
      { names: ["chmod"], action: "SCMP_ACT_ERRNO" },
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["a"], action: "SCMP_ACT_ALLOW", excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["b"], action: "SCMP_ACT_ALLOW", includes: { arches: ["arm64"] } },
    ],
  };
  const names = (capabilities: readonly string[]): readonly string[] =>
    (customSeccomp(JSON.stringify(profile), capabilities, "x64").syscalls ?? []).flatMap((rule) => rule.names);

  test("in Docker's form is fitted to capabilities and machine", () => {
    expect(names([])).toEqual(["chmod", "a"]);
    expect(names(["CAP_SYS_ADMIN"])).toEqual(["chmod", "mount"]);
    expect(customSeccomp(JSON.stringify(profile), [], "x64").architectures).toEqual([
      "SCMP_ARCH_X86_64",
      "SCMP_ARCH_X86",
    ]);
  });

  test.each(["", "{", "[]", "{}", '{"defaultAction":1}', '{"defaultAction":"x","syscalls":[{}]}'])(
    "%j is none",
    (json) => {
      expect(() => customSeccomp(json, [], "x64")).toThrow("invalid seccomp profile");
    },
  );
});
