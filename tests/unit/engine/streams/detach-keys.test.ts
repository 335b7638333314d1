import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DetachMatcher, parseDetachKeys } from "../../../../src/engine/streams/detach-keys.ts";

describe("detach keys", () => {
  test.each<[string | undefined, number[]]>([
    [undefined, [16, 17]],
    ["", [16, 17]],
    ["ctrl-x,x", [24, 120]],
    ["ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", [0, 27, 28, 29, 30, 31]],
    ["a", [97]],
  ])("%j", (text, bytes) => {
    expect(parseDetachKeys(text)).toEqual(bytes);
  });

  test.each(["zz-q", "ctrl-", "ctrl-1", "ctrl-p,", "é"])("%s is refused", (text) => {
    expect(() => parseDetachKeys(text)).toThrow(`Invalid detach keys (${text}) provided`);
  });
});

describe("detach matcher", () => {
  function feed(keys: number[], writes: readonly (string | Uint8Array)[]) {
    const matcher = new DetachMatcher(keys);
    let forwarded = "";
    for (const write of writes) {
      const { forward, detached } = matcher.feed(Buffer.from(write));
      forwarded += forward.toString("latin1");
      if (detached) return { forwarded, detached };
    }
    return { forwarded, detached: false };
  }

  test("finds the sequence across writes and forwards what came before", () => {
    expect(feed([16, 17], ["ls\n\x10", "\x11more"])).toEqual({ forwarded: "ls\n", detached: true });
  });

  test("gives back what only looked like the beginning", () => {
    expect(feed([16, 17], ["\x10", "x"])).toEqual({ forwarded: "\x10x", detached: false });
    expect(feed([16, 17], ["\x10\x10", "\x11"])).toEqual({ forwarded: "\x10", detached: true });
  });

  test("input without the first key passes unchanged, however it is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 20 })), (parts) => {
        const writes = parts.map((part) => Buffer.from(part.replaceAll("\x10", "")));
        const expected = Buffer.concat(writes).toString("latin1");
        expect(feed([16, 17], writes)).toEqual({ forwarded: expected, detached: false });
      }),
    );
  });
});
