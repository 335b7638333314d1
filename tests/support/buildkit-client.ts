/** A client of BuildKit's API that says what a test wants it to say: `POST /grpc` to ask for a build, and `POST /session` on which it answers
 *  the engine's questions packet by packet. */
import { performServerHandshake } from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { GrpcClient } from "../../src/api/buildkit/grpc/client.ts";
import { FrameReader, frame } from "../../src/api/buildkit/grpc/frames.ts";
import { solveRequest, solveResponse } from "../../src/api/buildkit/messages.ts";
import { packet, packetType } from "../../src/api/buildkit/session-messages.ts";
import type { Stat } from "../../src/api/buildkit/session-messages.ts";

/** The connection after the answer 101. */
export async function upgrade(socketPath: string, path: string, headers: readonly string[] = []): Promise<Socket> {
  const socket = connect(socketPath);
  const lines = [`POST ${path} HTTP/1.1`, "Host: ", "Connection: Upgrade", "Upgrade: h2c", ...headers];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  let head = Buffer.alloc(0);
  return await new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", take);
      socket.pause();
      if (!head.toString("latin1").startsWith("HTTP/1.1 101 ")) return reject(new Error(head.toString("latin1")));
      if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
      resolve(socket);
    };
    socket.on("data", take);
    socket.on("error", reject);
  });
}

/** One transfer of files that the engine asks for. */
export interface Transfer {
  readonly name: string;
  readonly follow: readonly string[];
  send(
    type: keyof typeof packetType,
    content?: { readonly stat?: Stat; readonly id?: number; readonly data?: Buffer },
  ): void;
  sendRaw(bytes: Buffer): void;
  /** Packets that the engine sends. */
  onPacket(take: (type: number, id: number) => void): void;
  readonly stream: ServerHttp2Stream;
}

const syncPath = "/moby.filesync.v1.FileSync/DiffCopy";
let count = 0;

export interface ScriptedClient {
  /** @returns what the build gave. @throws GrpcError */
  solve(attributes?: Readonly<Record<string, string>>): Promise<ReadonlyMap<string, string>>;
  readonly session: Socket;
  close(): void;
}

/** `serve` answers for each folder: "dockerfile" and "context". */
export async function scriptedClient(socketPath: string, serve: (transfer: Transfer) => void): Promise<ScriptedClient> {
  count += 1;
  const id = `scripted-${process.pid}-${count}`;
  const session = await upgrade(socketPath, "/session", [
    `X-Docker-Expose-Session-Uuid: ${id}`,
    `X-Docker-Expose-Session-Grpc-Method: ${syncPath}`,
    `X-Docker-Expose-Session-Sharedkey: key-${id}`,
  ]);
  const server = performServerHandshake(session);
  server.on("error", () => undefined);
  server.on("stream", (stream, headers) => serve(transferOn(stream, headers)));
  const control = await upgrade(socketPath, "/grpc");
  const client = new GrpcClient(control);
  return {
    session,
    solve: async (attributes = {}) => {
      const request = solveRequest.encode({
        ref: `ref-${id}`,
        session: id,
        frontend: "dockerfile.v0",
        frontendAttributes: new Map(Object.entries(attributes)),
        exporters: [{ type: "moby", attributes: new Map([["name", "scripted"]]) }],
      });
      const signal = new AbortController().signal;
      const options = { signal, maxBytes: 1 << 20 };
      const answer = await client.unary("/moby.buildkit.v1.Control/Solve", request, options);
      return solveResponse.decode(answer).exporterResponse;
    },
    close: () => {
      session.destroy();
      control.destroy();
    },
  };
}

function values(headers: IncomingHttpHeaders, name: string): readonly string[] {
  const value = headers[name];
  return value === undefined ? [] : String(value).split(", ");
}

function transferOn(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Transfer {
  stream.on("error", () => undefined);
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  const write = (bytes: Buffer): void => {
    if (!stream.destroyed) stream.write(bytes);
  };
  return {
    name: String(headers["dir-name"]),
    follow: values(headers, "followpaths"),
    stream,
    send: (type, content = {}) => write(frame(packet.encode({ type: packetType[type], ...content }))),
    sendRaw: write,
    onPacket: (take) => {
      const reader = new FrameReader(1 << 20);
      stream.on("data", (chunk: Buffer) => {
        for (const message of reader.push(chunk)) {
          const { type, id } = packet.decode(message);
          take(type, id);
        }
      });
    },
  };
}

export function file(
  path: string,
  content: string,
  more: Stat = {},
): { readonly stat: Stat; readonly content: Buffer } {
  const bytes = Buffer.from(content);
  return {
    stat: { path: Buffer.from(path, "latin1"), mode: 0o644, size: BigInt(bytes.length), ...more },
    content: bytes,
  };
}

/** Lists the files, gives those that are asked for, ends when it is asked to. */
export function serveFiles(
  transfer: Transfer,
  files: readonly { readonly stat: Stat; readonly content: Buffer }[],
): void {
  transfer.onPacket((type, id) => {
    if (type === packetType.request) {
      const content = files[id]?.content ?? Buffer.alloc(0);
      if (content.length > 0) transfer.send("data", { id, data: content });
      transfer.send("data", { id });
    } else if (type === packetType.fin) {
      transfer.send("fin");
      transfer.stream.end();
    }
  });
  for (const { stat: one } of files) transfer.send("stat", { stat: one });
  transfer.send("stat");
}
