/** `POST /grpc` and `POST /session`: connections that become HTTP/2 with gRPC, for BuildKit's clients. What serves them is loaded with the
 *  first. Source: engine-api reference, 5.2. */
import { TscomposeError } from "../../errors.ts";
import type { Call, Handler } from "../call.ts";

function checkUpgrade(call: Call): void {
  const { upgrade } = call.headers;
  if (upgrade === undefined) throw new TscomposeError("request/invalid", "no upgrade proto in request");
  if (upgrade.toLowerCase() !== "h2c")
    throw new TscomposeError("request/invalid", `protocol ${upgrade} not supported`, { hint: "ask for h2c" });
}

export const control: Handler = async (call, engine) => {
  checkUpgrade(call);
  const { serveControl } = await import("../buildkit/door.ts");
  return { kind: "takeover", protocol: "h2c", serve: (socket) => serveControl(engine, socket) };
};

export const session: Handler = async (call, engine) => {
  checkUpgrade(call);
  const { openSession } = await import("../buildkit/door.ts");
  return { kind: "takeover", protocol: "h2c", serve: openSession(engine, call.headers) };
};
