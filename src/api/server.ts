/** The Docker Engine API over HTTP on a unix socket. In: an `Engine`. Out: a listening server. Knows HTTP and nothing about
 *  how the engine does its work. */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Engine } from "../engine/engine.ts";
import { TscomposeError, errnoOf } from "../errors.ts";
import { serveRequest, serveUpgrade } from "./serve-call.ts";

export interface ApiServer {
  /** Opens the socket: mode 0660, a leftover of a dead engine replaced. @throws engine/locked when somebody answers there. */
  listen(socketPath: string): Promise<void>;
  /** Connections whose client has not closed its side. */
  readonly connections: number;
  /** When a request last came or a connection opened or closed: monotonic milliseconds. */
  readonly quietSince: number;
  /** Stops listening and cuts every connection. Idempotent. */
  close(): Promise<void>;
}

export function createServer(engine: Engine): ApiServer {
  const sockets = new Set<Socket>();
  const closed = new Set<Duplex>();
  let quietSince = performance.now();
  const server = createHttpServer({
    maxHeaderSize: 1 << 20,
    keepAliveTimeout: 0,
    requestTimeout: 0,
    headersTimeout: 0,
  });
  server.timeout = 0;
  // A client that shuts its write side still wants its answer (`nc -N`, attach without stdin).
  Reflect.set(server, "httpAllowHalfOpen", true);
  server.on("connection", (socket) => {
    sockets.add(socket);
    quietSince = performance.now();
    socket.once("end", () => closed.add(socket));
    socket.once("close", () => {
      sockets.delete(socket);
      closed.delete(socket);
      quietSince = performance.now();
    });
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    quietSince = performance.now();
    void serveRequest(engine, request, response);
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    quietSince = performance.now();
    void serveUpgrade(engine, request, { socket, head });
  });
  return {
    listen: (socketPath) => listen(server, socketPath),
    get connections() {
      return sockets.size - closed.size;
    },
    get quietSince() {
      return quietSince;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function listen(server: Server, socketPath: string): Promise<void> {
  await removeStale(socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // Bound and given its mode before this statement ends, so nobody meets it with a wider one.
    const umask = process.umask(0o117);
    try {
      server.listen(socketPath, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
  chmodSync(socketPath, 0o660);
}

async function removeStale(socketPath: string): Promise<void> {
  try {
    if (!lstatSync(socketPath).isSocket()) {
      throw new TscomposeError(
        "engine/failed",
        `cannot listen on ${socketPath}: something that is not a socket is there`,
        {
          hint: "move it away, or choose another folder with TSCOMPOSE_RUN_ROOT",
        },
      );
    }
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  if (await answers(socketPath)) {
    throw new TscomposeError("engine/locked", `another engine answers on ${socketPath}`);
  }
  unlinkSync(socketPath);
}

/** Whether a connection is taken. */
function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
