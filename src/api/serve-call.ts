/** One request: route, call, handler, reply. */
import { ServerResponse } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Engine } from "../engine/engine.ts";
import { TscomposeError } from "../errors.ts";
import { bodyCap, bodyChunks, parseJsonBody, readCapped } from "./body.ts";
import type { Call } from "./call.ts";
import { handlers } from "./handlers/index.ts";
import { answerUnsupported } from "./handlers/unsupported.ts";
import { detachConnection, refuseAttach, runHijack, runTakeover, takeUpgradeBody } from "./hijack.ts";
import { sendProblem, sendReply } from "./reply.ts";
import { matchRoute, splitVersion } from "./router.ts";
import type { RouteMatch } from "./router.ts";
import type { RouteName } from "./routes.ts";

/** An ordinary request, or one that asks for a stream without `Upgrade`. Never rejects. */
export async function serveRequest(engine: Engine, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.once("close", leave);
  // The end of the client's side is its leaving, as for dockerd; only a connection that was taken over outlives it.
  request.socket.once("end", leave);
  const stay = (): void => {
    response.off("close", leave);
    request.socket.off("end", leave);
  };
  let name: RouteName | undefined;
  try {
    const { match, call } = prepare(request, gone.signal, () => readCapped(bodyChunks(request)));
    name = match.name;
    const reply = await handlers[match.name](call, engine);
    if (reply.kind === "takeover") throw new TscomposeError("request/invalid", "no upgrade proto in request");
    if (reply.kind !== "hijack") return await sendReply(response, reply);
    stay();
    await runHijack(detachConnection(request, response), reply, false);
  } catch (error) {
    if (name === "containerAttach") refuseAttach(detachConnection(request, response), error);
    else sendProblem(response, error);
  } finally {
    stay();
  }
}

/** A request with `Upgrade`. Where the route does not take connections over, it is answered as if the header were not
 *  there, and the connection closed. Never rejects. */
export async function serveUpgrade(
  engine: Engine,
  request: IncomingMessage,
  connection: { readonly socket: Duplex; readonly head: Buffer },
): Promise<void> {
  const { socket, head } = connection;
  const gone = new AbortController();
  socket.on("error", () => undefined); // "close" follows
  socket.once("close", () => gone.abort());
  let name: RouteName | undefined;
  try {
    const body = await takeUpgradeBody(request, socket, head, bodyCap);
    if (body === undefined) throw new TscomposeError("request/invalid", "the request body is cut short or too large");
    const { match, call } = prepare(request, gone.signal, () => Promise.resolve(body));
    name = match.name;
    const reply = await handlers[match.name](call, engine);
    if (reply.kind === "hijack") return await runHijack(socket, reply, true);
    if (reply.kind === "takeover") return await runTakeover(socket, reply);
    await sendReply(plainResponse(request, socket), reply);
  } catch (error) {
    if (name === "containerAttach") refuseAttach(socket, error);
    else sendProblem(plainResponse(request, socket), error);
  }
}

function plainResponse(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as IncomingMessage["socket"]);
  response.on("finish", () => socket.end(() => socket.destroy()));
  return response;
}

/** @throws request/not-found for a page that does not exist, and what its stand-ins answer. */
function prepare(
  request: IncomingMessage,
  signal: AbortSignal,
  readBody: () => Promise<Buffer>,
): { readonly match: RouteMatch; readonly call: Call } {
  if (request.headers.origin !== undefined || request.headers["sec-fetch-site"] !== undefined) {
    throw new TscomposeError("request/invalid", "requests from web pages are refused", {
      details: { httpStatus: 403 },
    });
  }
  const target = request.url ?? "/";
  const mark = target.indexOf("?");
  const split = splitVersion(mark < 0 ? target : target.slice(0, mark));
  if ("error" in split) throw new TscomposeError("request/invalid", split.error);
  const method = request.method ?? "GET";
  const match = matchRoute(method, split.path);
  if (match === undefined) throw answerUnsupported(method, split.path);
  const call: Call = {
    parameters: match.parameters,
    query: new URLSearchParams(mark < 0 ? "" : target.slice(mark + 1)),
    minor: split.minor,
    headers: request.headers,
    signal,
    json: async (shape) => parseJsonBody(await readBody(), request.headers, shape),
    bytes: () => bodyChunks(request),
  };
  return { match, call };
}
