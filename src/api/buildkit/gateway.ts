/** moby.buildkit.v1.frontend.LLBBridge: how buildx builds. Inside a `Control.Solve` without a front end it asks for the build of the
 *  Dockerfile here, looks at the result, and returns it. */
import { TscomposeError } from "../../errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Builds } from "./builds.ts";
import { definitionOf } from "./definitions.ts";
import type { GrpcCall, GrpcMethod } from "./grpc/server.ts";
import { GrpcError, grpcCode } from "./grpc/status.ts";
import { bridgeSolveRequest, bridgeSolveResponse, pongResponse, returnRequest } from "./messages.ts";
import type { BridgeResult } from "./messages.ts";
import { workerOf } from "./worker.ts";

const service = "/moby.buildkit.v1.frontend.LLBBridge/";
const nothing = Buffer.alloc(0);
const buildHeader = "buildkit-controlapi-buildid";

const frontendCaps = [
  "solve.base",
  "solve.inlinereturn",
  "resolveimage",
  "resolveimage.resolvemode",
  "importcaches",
  "return",
  "returnmap",
  "reference.output",
  "frontend.caps",
  "frontend.inputs",
  "proto.refarray",
  "gateway.solve.metadata",
  "gateway.solve.evaluate",
  "gateway.evaluate",
];
const llbCaps = [
  "constraints",
  "platform",
  "meta.description",
  "meta.ignorecache",
  "source.image",
  "source.local",
  "exec.meta.base",
  "exec.mount.bind",
  "file.base",
  "exporter.multiple",
];

function buildId({ headers }: GrpcCall): string {
  const id = headers[buildHeader];
  if (typeof id === "string" && id !== "") return id;
  throw new TscomposeError("request/invalid", "the call does not say which build it is about");
}

export function gatewayMethods(parts: {
  readonly engine: Engine;
  readonly builds: Builds;
}): readonly (readonly [string, GrpcMethod])[] {
  const { engine, builds } = parts;
  const ping: GrpcMethod = {
    kind: "unary",
    handle: async (_bytes, call) => {
      await builds.get(buildId(call), call.signal);
      return pongResponse.encode({
        frontendCaps: frontendCaps.map((id) => ({ id, enabled: true })),
        llbCaps: llbCaps.map((id) => ({ id, enabled: true })),
        workers: [await workerOf(engine)],
      });
    },
  };
  const solve: GrpcMethod = {
    kind: "unary",
    handle: async (bytes, call) => {
      const request = bridgeSolveRequest.decode(bytes);
      const build = await builds.get(buildId(call), call.signal);
      const { frontend, frontendOptions: attributes, frontendInputs: inputs, definition } = request;
      const { imageId, metadata } = await build.solve({ frontend, attributes, inputs, definition });
      return bridgeSolveResponse.encode({ result: { ...resultOf(imageId), metadata } });
    },
  };
  const giveBack: GrpcMethod = {
    kind: "unary",
    handle: async (bytes, call) => {
      const { error } = returnRequest.decode(bytes);
      const build = await builds.get(buildId(call), call.signal);
      const details = (error?.details ?? []).map(({ typeUrl = "", value = nothing }) => ({ typeUrl, value }));
      build.end(
        error === undefined ? undefined : new GrpcError(error.code ?? grpcCode.unknown, error.message ?? "", details),
      );
      return nothing;
    },
  };
  return [
    [`${service}Ping`, ping],
    [`${service}Solve`, solve],
    [`${service}Return`, giveBack],
    [`${service}Evaluate`, { kind: "unary", handle: () => Promise.resolve(nothing) }],
  ];
}

/** An image that is not kept has no name by which another build could take it up. */
function resultOf(imageId: string): BridgeResult {
  if (imageId === "") return { ref: {} };
  return { ref: { id: imageId.replace("sha256:", "").slice(0, 25), definition: definitionOf(imageId) } };
}
