import { describe, expect, test } from "vitest";
import { surplus } from "../../../../../src/engine/build/solve/build-cache.ts";
import type { CacheUsage } from "../../../../../src/engine/build/types.ts";

const item = (id: string, sizeBytes: number, more: Partial<CacheUsage> = {}): CacheUsage => ({
  id,
  type: "regular",
  description: "",
  inUse: false,
  shared: false,
  sizeBytes,
  createdMs: 0,
  usedMs: 0,
  uses: 1,
  ...more,
});

const none = { reservedBytes: undefined, maxUsedBytes: undefined, minFreeBytes: undefined, freeBytes: 1000 };
const usage = [item("old", 100), item("shared", 500, { shared: true }), item("middle", 200), item("new", 300)];
const chosen = (limits: Partial<typeof none> | { readonly [K in keyof typeof none]?: number }): readonly string[] =>
  surplus(usage, usage, { ...none, ...limits }).map(({ id }) => id);

describe("pruning", () => {
  test("takes all without limits", () => expect(chosen({})).toEqual(["old", "shared", "middle", "new"]));
  test("takes what was used longest ago until the rest fits", () =>
    expect(chosen({ maxUsedBytes: 350 })).toEqual(["old", "middle"]));
  test("takes nothing where all fits", () => expect(chosen({ maxUsedBytes: 600 })).toEqual([]));
  test("leaves what is reserved", () => expect(chosen({ reservedBytes: 300 })).toEqual(["old", "middle"]));
  test("goes no further than what is reserved for the sake of free space", () =>
    expect(chosen({ reservedBytes: 550, minFreeBytes: 2000 })).toEqual(["old"]));
  test("takes nothing where enough of the disk is free", () => expect(chosen({ minFreeBytes: 900 })).toEqual([]));
});
