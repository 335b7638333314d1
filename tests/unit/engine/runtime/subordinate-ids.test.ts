import { describe, expect, test } from "vitest";
import { parseRemap, subordinateMap } from "../../../../src/engine/runtime/subordinate-ids.ts";
import { ownerInside, ownerOutside } from "../../../../src/host/id-map.ts";

const wish = { user: "box", group: "crates" };
const files = {
  subuid: "# a comment\nother:1:5\nbox:100000:65536\n1234:900000:10\nbox:0:10\nbox:4294967290:100\nbox:x:y\n",
  subgid: "crates:200000:1000\n",
};

describe("subordinate ids", () => {
  test("of a user, by name and by number, follow each other from 0 on; never the host's root, never out of range", () => {
    expect(subordinateMap(wish, files, { uid: 1234, gid: undefined })).toEqual({
      uids: [
        { inside: 0, outside: 100_000, size: 65_536 },
        { inside: 65_536, outside: 900_000, size: 10 },
      ],
      gids: [{ inside: 0, outside: 200_000, size: 1000 }],
    });
  });
  test("that are not there are missed by file and name", () => {
    const missing = (): unknown =>
      subordinateMap({ user: "who", group: "who" }, files, { uid: undefined, gid: undefined });
    expect(missing).toThrow("/etc/subuid has no range of ids for who");
  });
  test("translate both ways, and what is outside of them is refused or nobody", () => {
    const map = subordinateMap(wish, files, { uid: 1234, gid: undefined });
    expect(ownerOutside(map, { uid: 65_537, gid: 999 })).toEqual({ uid: 900_001, gid: 200_999 });
    expect(ownerInside(map, { uid: 900_001, gid: 200_999 })).toEqual({ uid: 65_537, gid: 999 });
    expect(ownerInside(map, { uid: 0, gid: 0 })).toEqual({ uid: 65_534, gid: 65_534 });
    expect(() => ownerOutside(map, { uid: 0, gid: 1000 })).toThrow("1000 is outside of the range");
    expect(ownerOutside(undefined, { uid: 5, gid: 6 })).toEqual({ uid: 5, gid: 6 });
  });
});

test.each([
  ["", undefined],
  ["default", { user: "dockremap", group: "dockremap" }],
  ["box", { user: "box", group: "box" }],
  ["1000:crates", { user: "1000", group: "crates" }],
])("TSCOMPOSE_USERNS_REMAP %j", (text, expected) => {
  expect(parseRemap(text)).toEqual(expected);
});
test.each(["a b", ":", "../x", "a:b:c"])("TSCOMPOSE_USERNS_REMAP %j is refused", (text) => {
  expect(() => parseRemap(text)).toThrow("is no user");
});
