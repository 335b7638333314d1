import { describe, expect, test } from "vitest";
import { resolveUser } from "../../../../src/engine/runtime/user.ts";

const files = {
  passwd:
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n-1:x:7:7::/:\n42:x:9:9::/nine:\nbroken\n:x:0:0\n",
  group: "root:x:0:root\nwheel:x:10:root,app\napp:x:1001:\nextra:x:2000:app\n",
};
const resolve = (user: string, groups: readonly string[] = []): unknown => resolveUser(user, groups, files);

describe("a user", () => {
  test.each<[string, readonly string[], object]>([
    ["", [], { uid: 0, gid: 0, additionalGids: [0, 10], home: "/root" }],
    ["app", [], { uid: 1000, gid: 1001, additionalGids: [1001, 10, 2000], home: "/home/app" }],
    ["1000", [], { uid: 1000, gid: 1001, additionalGids: [1001, 10, 2000], home: "/home/app" }],
    ["app:extra", [], { uid: 1000, gid: 2000, additionalGids: [2000], home: "/home/app" }],
    ["1234", [], { uid: 1234, gid: 0, additionalGids: [0], home: "/" }],
    ["1234:5678", [], { uid: 1234, gid: 5678, additionalGids: [5678], home: "/" }],
    ["1234", ["extra", "99"], { uid: 1234, gid: 0, additionalGids: [0, 2000, 99], home: "/" }],
    ["00", [], { uid: 0, gid: 0, additionalGids: [0, 10], home: "/root" }],
    ["42", [], { uid: 42, gid: 0, additionalGids: [0], home: "/" }],
  ])("%j with groups %j", (user, groups, expected) => {
    expect(resolve(user, groups)).toEqual(expected);
  });

  test.each(["-1", "2147483648", "4294967295", "4294967296", " 0", "1".repeat(31), "+0", "0.0"])(
    "%j is refused even where the image has a user of that name",
    (user) => {
      expect(() => resolve(user)).toThrow(/range/);
      expect(() => resolve(`0:${user}`)).toThrow(/range/);
    },
  );

  test.each(["nobody", "1e3", "0x0"])("%j, which the image does not have, is refused", (user) => {
    expect(() => resolve(user)).toThrow(`unable to find user ${user}`);
    expect(() => resolve(`app:${user}`)).toThrow(`unable to find group ${user}`);
  });
});

test("numbers out of range in the image's files are no entries", () => {
  const hostile = { passwd: "evil:x:4294967295:0::/:\nevil2:x:1:99999999999::/:", group: "g:x:4294967295:" };
  expect(() => resolveUser("evil", [], hostile)).toThrow("unable to find user");
  expect(() => resolveUser("evil2", [], hostile)).toThrow("unable to find user");
  expect(() => resolveUser("0:g", [], hostile)).toThrow("unable to find group");
});
