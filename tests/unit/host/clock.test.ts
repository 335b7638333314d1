import fc from "fast-check";
import { expect, test } from "vitest";
import { formatNanoseconds, parseRfc3339, realtimeNs } from "../../../src/host/clock.ts";

test("the clock is the wall clock, finer than a millisecond", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const now = realtimeNs();
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  expect(now >= before && now <= after).toBe(true);
});

test.each<[string, bigint | undefined]>([
  ["1970-01-01T00:00:01Z", 1_000_000_000n],
  ["1970-01-01T00:00:01.5Z", 1_500_000_000n],
  ["2026-11-21T12:00:00.123456789+02:00", 1795255200_123456789n],
  ["2026-11-21 12:00:00Z", undefined],
  ["2026-13-21T12:00:00Z", undefined],
  ["", undefined],
])("parses %j", (text, ns) => {
  expect(parseRfc3339(text)).toBe(ns);
});

test("what is written is read back", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }), (ns) => {
      expect(parseRfc3339(formatNanoseconds(ns))).toBe(ns);
    }),
  );
});
