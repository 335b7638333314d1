/** `POST /build/prune`. Source: Docker Engine API 1.51, BuildPrune. */
import { testsOf } from "../cache-filters.ts";
import { ok } from "../call.ts";
import type { Call, Handler } from "../call.ts";
import { readBoolean, readFilters, readInteger } from "../query.ts";

function bytes(call: Call, ...keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const value = readInteger(call.query, key);
    if (value !== undefined && value > 0) return value;
  }
  return undefined;
}

export const prune: Handler = async (call, engine) => {
  if (engine.builds === undefined) return ok({ CachesDeleted: null, SpaceReclaimed: 0 });
  const tests = testsOf(readFilters(call.query, undefined));
  const { deleted, spaceReclaimed } = await engine.builds.prune({
    // Clients of ours and of Docker ask for everything by `all`; without it what images have stays.
    all: readBoolean(call.query, "all"),
    matches: (item) => tests.every((test) => test(item)),
    reservedBytes: bytes(call, "reserved-space", "keep-storage"),
    maxUsedBytes: bytes(call, "max-used-space"),
    minFreeBytes: bytes(call, "min-free-space"),
  });
  return ok({ CachesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: spaceReclaimed });
};
