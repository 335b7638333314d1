/** gRPC as the server, on a connection that has become HTTP/2: unary calls, and calls that answer with a stream.
 *  Source: gRPC over HTTP/2 (github.com/grpc/grpc doc/PROTOCOL-HTTP2.md). */
import { performServerHandshake } from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { FrameReader, frame } from "./frames.ts";
import { GrpcError, grpcCode, toGrpcError, trailersOf } from "./status.ts";

export interface GrpcCall {
  readonly headers: IncomingHttpHeaders;
  /** Fires when the client has given the call up, or has gone. */
  readonly signal: AbortSignal;
}

export type GrpcMethod =
  | { readonly kind: "unary"; handle(request: Buffer, call: GrpcCall): Promise<Buffer> }
  | {
      readonly kind: "stream";
      readonly headers?: () => Readonly<Record<string, string>>;
      handle(request: Buffer, call: GrpcCall): AsyncIterable<Buffer>;
    };

/** By path: `/package.Service/Method`. */
export type GrpcMethods = ReadonlyMap<string, GrpcMethod>;

/** As BuildKit's server has it. */
const maxRequestBytes = 16 * 1024 * 1024;

/** Settles when the connection has ended. */
export function serveGrpc(socket: Duplex, methods: GrpcMethods): Promise<void> {
  const session = performServerHandshake(socket, {
    settings: { maxConcurrentStreams: 250, initialWindowSize: 1 << 20, maxHeaderListSize: 1 << 20 },
    maxSendHeaderBlockLength: 1 << 20,
  });
  session.on("error", () => undefined); // "close" follows
  session.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    void serveCall(stream, headers, methods);
  });
  return new Promise((resolve) => {
    session.on("close", () => {
      socket.destroy();
      resolve();
    });
    socket.on("close", () => session.destroy());
  });
}

async function serveCall(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, methods: GrpcMethods): Promise<void> {
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  try {
    const path = headers[":path"] ?? "";
    const method = methods.get(path);
    if (method === undefined) throw new GrpcError(grpcCode.unimplemented, `this engine has no ${path}`);
    const call = { headers, signal: gone.signal };
    if (method.kind === "unary") {
      const answer = await method.handle(await readRequest(stream), call);
      begin(stream, {});
      stream.write(frame(answer));
    } else {
      const request = await readRequest(stream);
      begin(stream, method.headers?.() ?? {});
      for await (const message of method.handle(request, call)) {
        if (stream.destroyed) return;
        if (!stream.write(frame(message))) await drained(stream);
      }
    }
    finish(stream, undefined);
  } catch (error) {
    finish(stream, toGrpcError(error));
  }
}

/** The one message of a request. What may follow is not read: iterating would end the stream with the message. */
function readRequest(stream: ServerHttp2Stream): Promise<Buffer> {
  const reader = new FrameReader(maxRequestBytes);
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      try {
        const [message] = reader.push(chunk);
        if (message === undefined) return;
        stream.off("data", take);
        stream.resume();
        resolve(Buffer.from(message));
      } catch (error) {
        stream.off("data", take);
        stream.resume();
        reject(toGrpcError(error));
      }
    };
    const cutShort = (): void => reject(new GrpcError(grpcCode.internal, "the request ended before its message"));
    stream.on("data", take);
    stream.once("end", cutShort);
    stream.once("close", cutShort);
  });
}

function begin(stream: ServerHttp2Stream, more: Readonly<Record<string, string>>): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...more }, { waitForTrailers: true });
}

function finish(stream: ServerHttp2Stream, error: GrpcError | undefined): void {
  if (stream.destroyed) return;
  begin(stream, {});
  stream.on("wantTrailers", () => stream.sendTrailers(trailersOf(error)));
  stream.end();
}

function drained(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      stream.off("drain", settle);
      stream.off("close", settle);
      resolve();
    };
    stream.on("drain", settle);
    stream.on("close", settle);
    if (stream.destroyed || !stream.writableNeedDrain) settle();
  });
}
