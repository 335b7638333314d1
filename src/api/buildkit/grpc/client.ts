/** gRPC as the client, on a connection that the other side has opened and turned into HTTP/2. */
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import { TscomposeError } from "../../../errors.ts";
import { FrameReader, frame } from "./frames.ts";
import { GrpcError, decodeMessage, grpcCode } from "./status.ts";

export type Metadata = Readonly<Record<string, string | readonly string[]>>;

export interface CallOptions {
  readonly metadata?: Metadata;
  readonly signal: AbortSignal;
  /** Of one message of the answer. */
  readonly maxBytes: number;
}

/** A call whose both sides are streams. */
export interface GrpcStream {
  /** Resolves when there is room for more. */
  send(message: Buffer): Promise<void>;
  endSending(): void;
  /** Ends without an error when the other side has ended well. @throws GrpcError */
  readonly messages: AsyncIterable<Buffer>;
  /** Gives the call up. Idempotent. */
  close(): void;
}

export class GrpcClient {
  readonly #session: ClientHttp2Session;
  /** When the connection has ended. */
  readonly closed: Promise<void>;

  constructor(socket: Duplex) {
    this.#session = connect("http://localhost", {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: 1 << 20 },
    });
    this.#session.on("error", () => undefined); // "close" follows
    this.#session.on("connect", () => this.#session.setLocalWindowSize(8 << 20));
    this.closed = new Promise((resolve) => {
      this.#session.on("close", () => {
        socket.destroy();
        resolve();
      });
      socket.on("close", () => this.#session.destroy());
    });
  }

  close(): void {
    this.#session.destroy();
  }

  /** @throws GrpcError, aborted */
  async unary(path: string, message: Buffer, options: CallOptions): Promise<Buffer> {
    const stream = this.stream(path, options);
    try {
      await stream.send(message);
      stream.endSending();
      let answer: Buffer | undefined;
      for await (const part of stream.messages) answer = part;
      if (answer === undefined) throw new GrpcError(grpcCode.internal, `${path} gave no answer`);
      return answer;
    } finally {
      stream.close();
    }
  }

  /** @throws GrpcError when the client has gone */
  stream(path: string, options: CallOptions): GrpcStream {
    if (this.#session.destroyed || this.#session.closed) throw gone(path);
    options.signal.throwIfAborted();
    const headers: OutgoingHttpHeaders = {
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    };
    for (const [name, value] of Object.entries(options.metadata ?? {}))
      headers[name] = typeof value === "string" ? value : [...value];
    const stream = this.#session.request(headers);
    const cancel = (): void => stream.close(8);
    options.signal.addEventListener("abort", cancel, { once: true });
    stream.once("close", () => options.signal.removeEventListener("abort", cancel));
    stream.on("error", () => undefined);
    const end = endOf(stream);
    return {
      send: (message) => send(stream, path, message),
      endSending: () => stream.end(),
      messages: messagesOf(stream, path, { ...options, end }),
      close: () => stream.close(8),
    };
  }
}

function gone(path: string): GrpcError {
  return new GrpcError(grpcCode.unavailable, `the client has gone while it was asked for ${path}`);
}

function send(stream: ClientHttp2Stream, path: string, message: Buffer): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return Promise.reject(gone(path));
  if (stream.write(frame(message))) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      stream.off("close", onClose);
      resolve();
    };
    const onClose = (): void => {
      stream.off("drain", onDrain);
      reject(gone(path));
    };
    stream.once("drain", onDrain);
    stream.once("close", onClose);
  });
}

/** Status and message are in the trailers, or in the headers where there is nothing else. */
function endOf(stream: ClientHttp2Stream): Map<string, unknown> {
  const end = new Map<string, unknown>();
  const take = (headers: object): void => {
    for (const [name, value] of Object.entries(headers)) end.set(name, value);
  };
  stream.on("response", take);
  stream.on("trailers", take);
  return end;
}

async function* messagesOf(
  stream: ClientHttp2Stream,
  path: string,
  { end, ...options }: CallOptions & { readonly end: ReadonlyMap<string, unknown> },
): AsyncGenerator<Buffer, void, void> {
  const reader = new FrameReader(options.maxBytes);
  try {
    for await (const chunk of stream) yield* reader.push(chunk as Buffer);
  } catch (error) {
    if (error instanceof GrpcError) throw error;
    if (options.signal.aborted) throw new TscomposeError("aborted", "the build was cancelled");
    throw gone(path);
  }
  if (options.signal.aborted) throw new TscomposeError("aborted", "the build was cancelled");
  const code = Number(end.get("grpc-status") ?? grpcCode.unavailable);
  if (code === grpcCode.ok) return;
  const text = end.get("grpc-message");
  throw typeof text === "string" ? new GrpcError(code, decodeMessage(text)) : gone(path);
}
