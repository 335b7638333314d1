/** The builds that have ended since the engine started: `buildx history ls` and `rm`. */
import type { Builds } from "./builds.ts";
import type { GrpcMethod } from "./grpc/server.ts";
import { historyEvent, listenHistoryRequest, updateHistoryRequest } from "./messages.ts";

/** Kinds of events. */
const complete = 1;

export function historyMethods(builds: Builds): readonly (readonly [string, GrpcMethod])[] {
  const listen: GrpcMethod = {
    kind: "stream",
    headers: () => ({ "buildkit-current-timestamp": new Date().toISOString() }),
    async *handle(bytes) {
      const { ref, activeOnly, limit } = listenHistoryRequest.decode(bytes);
      if (activeOnly) return;
      const found = builds.records.filter((record) => ref === "" || record.ref === ref);
      for (const record of limit > 0 ? found.slice(0, limit) : found)
        yield historyEvent.encode({ type: complete, record });
    },
  };
  const update: GrpcMethod = {
    kind: "unary",
    handle: (bytes) => {
      const request = updateHistoryRequest.decode(bytes);
      if (request.delete) builds.forget(request.ref);
      return Promise.resolve(Buffer.alloc(0));
    },
  };
  return [
    ["ListenBuildHistory", listen],
    ["UpdateBuildHistory", update],
  ];
}
