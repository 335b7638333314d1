/** What builds keep, as BuildKit's clients see it: `buildx du`, `buildx prune`, `builder prune`. */
import type { Engine } from "../../engine/engine.ts";
import type { CacheUsage } from "../../engine/build/types.ts";
import { testsOf } from "../cache-filters.ts";
import type { GrpcMethod } from "./grpc/server.ts";
import { diskUsageRequest, diskUsageResponse, pruneRequest, usageRecord } from "./messages.ts";
import type { MessageOf } from "./protobuf.ts";

function recordOf(item: CacheUsage): Partial<MessageOf<typeof usageRecord>> {
  return {
    id: item.id.slice(0, 25),
    mutable: item.type !== "regular",
    inUse: item.inUse,
    size: item.sizeBytes,
    createdAt: item.createdMs,
    lastUsedAt: item.usedMs,
    usageCount: item.uses,
    description: item.description,
    recordType: item.type,
    shared: item.shared,
  };
}

/** `type==exec.cachemount,description~=x`: BuildKit's own writing; `key=value` is taken too. */
function readFilters(filters: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const part of filters.flatMap((filter) => filter.split(","))) {
    if (part === "") continue;
    const [, key = part, value = "true"] = /^([a-z-]+)(?:==|~=|=)(.*)$/.exec(part) ?? [];
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}

export function cacheMethods(engine: Engine): readonly (readonly [string, GrpcMethod])[] {
  const diskUsage: GrpcMethod = {
    kind: "unary",
    handle: async (bytes) => {
      const tests = testsOf(readFilters(diskUsageRequest.decode(bytes).filters));
      const usage = (await engine.builds?.usage()) ?? [];
      return diskUsageResponse.encode({
        records: usage.filter((item) => tests.every((test) => test(item))).map(recordOf),
      });
    },
  };
  const prune: GrpcMethod = {
    kind: "stream",
    async *handle(bytes) {
      const request = pruneRequest.decode(bytes);
      const tests = testsOf(readFilters(request.filters));
      const before = (await engine.builds?.usage()) ?? [];
      const oldest = request.keepDuration > 0 ? Date.now() - request.keepDuration / 1e6 : undefined;
      const limit = (value: number): number | undefined => (value > 0 ? value : undefined);
      const pruned = await engine.builds?.prune({
        all: request.all,
        matches: (item) => (oldest === undefined || item.usedMs < oldest) && tests.every((test) => test(item)),
        reservedBytes: limit(request.reservedSpace),
        maxUsedBytes: limit(request.maxUsedSpace),
        minFreeBytes: limit(request.minFreeSpace),
      });
      const deleted = new Set(pruned?.deleted);
      for (const item of before) if (deleted.has(item.id)) yield usageRecord.encode(recordOf(item));
    },
  };
  return [
    ["DiskUsage", diskUsage],
    ["Prune", prune],
  ];
}
