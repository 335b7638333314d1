/** moby.buildkit.v1.Control: builds, who follows them, what they keep. */
import { TscomposeError } from "../../errors.ts";
import type { Engine } from "../../engine/engine.ts";
import { cacheMethods } from "./cache-methods.ts";
import { Build } from "./build.ts";
import type { BuildResult } from "./build.ts";
import type { Builds } from "./builds.ts";
import { isEmpty } from "./definitions.ts";
import { exportImage } from "./export-result.ts";
import { buildFailure } from "./failure.ts";
import type { GrpcCall, GrpcMethod } from "./grpc/server.ts";
import { GrpcError } from "./grpc/status.ts";
import { historyMethods } from "./history-methods.ts";
import { infoResponse, listWorkersResponse, solveRequest, solveResponse, statusRequest } from "./messages.ts";
import type { HistoryRecord, SolveRequest } from "./messages.ts";
import type { Sessions } from "./sessions.ts";
import { engineVersion, workerOf } from "./worker.ts";

export interface ControlParts {
  readonly engine: Engine;
  readonly sessions: Sessions;
  readonly builds: Builds;
}

const service = "/moby.buildkit.v1.Control/";
const nothing = Buffer.alloc(0);
/** Clients set their clocks by it. */
const timestampHeader = "buildkit-current-timestamp";

export function controlMethods(parts: ControlParts): readonly (readonly [string, GrpcMethod])[] {
  const { engine, builds } = parts;
  const status: GrpcMethod = {
    kind: "stream",
    headers: () => ({ [timestampHeader]: new Date().toISOString() }),
    async *handle(bytes, call) {
      const { ref } = statusRequest.decode(bytes);
      const build = await builds.get(ref, call.signal);
      yield* build.feed.follow(call.signal);
    },
  };
  const listWorkers: GrpcMethod = {
    kind: "unary",
    handle: async () => listWorkersResponse.encode({ records: [await workerOf(engine)] }),
  };
  const info: GrpcMethod = {
    kind: "unary",
    handle: () => Promise.resolve(infoResponse.encode({ version: engineVersion })),
  };
  const solve: GrpcMethod = {
    kind: "unary",
    handle: async (bytes, call) => {
      const exporterResponse = await serveSolve(parts, solveRequest.decode(bytes), call);
      return exporterResponse.size === 0 ? nothing : solveResponse.encode({ exporterResponse });
    },
  };
  return [
    [`${service}ListWorkers`, listWorkers],
    [`${service}Info`, info],
    [`${service}Solve`, solve],
    [`${service}Status`, status],
    ...cacheMethods(engine).map(([name, method]) => [`${service}${name}`, method] as const),
    ...historyMethods(builds).map(([name, method]) => [`${service}${name}`, method] as const),
    [
      "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      { kind: "unary", handle: () => Promise.resolve(nothing) },
    ],
  ];
}

async function serveSolve(
  parts: ControlParts,
  request: SolveRequest,
  call: GrpcCall,
): Promise<ReadonlyMap<string, string>> {
  if (request.ref === "") throw new TscomposeError("request/invalid", "the build has no id");
  const build = new Build(request, parts);
  parts.builds.add(build);
  const cancel = (): void => build.cancel();
  call.signal.addEventListener("abort", cancel, { once: true });
  let record: HistoryRecord = {};
  try {
    if (call.signal.aborted) cancel();
    const response = await runSolve(parts, build);
    record = { exporterResponse: response };
    return response;
  } catch (error) {
    const failure = buildFailure(error, build.progress.dockerfile);
    record = { error: { code: failure.code, message: failure.message } };
    throw failure;
  } finally {
    call.signal.removeEventListener("abort", cancel);
    await build.close();
    parts.builds.remove(build, request.isInternal ? undefined : { ...recordOf(build), ...record });
  }
}

async function runSolve(parts: ControlParts, build: Build): Promise<ReadonlyMap<string, string>> {
  const result = await resultOf(build);
  if (result === undefined || result.imageId === "") return new Map();
  return await exportImage(parts.engine, build, result.imageId);
}

/** Undefined where nothing was built. */
async function resultOf(build: Build): Promise<BuildResult | undefined> {
  const { frontend, frontendAttributes, frontendInputs, definition } = build.request;
  if (frontend !== "" || !isEmpty(definition))
    return await build.solve({ frontend, attributes: frontendAttributes, inputs: frontendInputs, definition });
  const error = await build.returned;
  if (error instanceof GrpcError) throw error;
  return await build.result;
}

function recordOf(build: Build): HistoryRecord {
  const { ref, request, startedMs, feed } = build;
  const { total, cached, completed, warnings } = feed.counts;
  return {
    ref,
    frontend: request.frontend,
    frontendAttributes: request.frontendAttributes,
    exporters: request.exporters,
    createdAt: startedMs,
    completedAt: Date.now(),
    numTotalSteps: total,
    numCachedSteps: cached,
    numCompletedSteps: completed,
    numWarnings: warnings,
  };
}
