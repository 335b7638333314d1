/** The way in for BuildKit's clients: `POST /grpc`, on which they ask the engine, and `POST /session`, on which it asks them. One for
 *  an engine. */
import type { Duplex } from "node:stream";
import type { IncomingHttpHeaders } from "node:http";
import type { Engine } from "../../engine/engine.ts";
import { Builds } from "./builds.ts";
import { controlMethods } from "./control.ts";
import { gatewayMethods } from "./gateway.ts";
import { serveGrpc } from "./grpc/server.ts";
import type { GrpcMethod, GrpcMethods } from "./grpc/server.ts";
import { Sessions } from "./sessions.ts";

export interface Door {
  readonly sessions: Sessions;
  readonly methods: GrpcMethods;
}

const doors = new WeakMap<Engine, Door>();

function doorOf(engine: Engine): Door {
  const known = doors.get(engine);
  if (known !== undefined) return known;
  const parts = { engine, sessions: new Sessions(), builds: new Builds() };
  const methods: GrpcMethods = new Map<string, GrpcMethod>([
    ["/grpc.health.v1.Health/Check", { kind: "unary", handle: () => Promise.resolve(Buffer.from([8, 1])) }],
    ...controlMethods(parts),
    ...gatewayMethods(parts),
  ]);
  const door = { sessions: parts.sessions, methods };
  doors.set(engine, door);
  return door;
}

/** Settles when the connection has ended. */
export function serveControl(engine: Engine, socket: Duplex): Promise<void> {
  return serveGrpc(socket, doorOf(engine).methods);
}

/** @returns what to do with the connection. @throws request/invalid, request/conflict */
export function openSession(engine: Engine, headers: IncomingHttpHeaders): (socket: Duplex) => Promise<void> {
  const { sessions } = doorOf(engine);
  const id = sessions.check(headers);
  return (socket) => sessions.serve(id, headers, socket);
}
