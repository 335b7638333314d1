/** One request and its response on a connection. */
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { TscomposeError, errorMessage } from "../../errors.ts";
import { ResponseParser } from "./response-parser.ts";
import type { ResponseHead } from "./response-parser.ts";

/** A response: its body as a stream. Destroying it before its end closes the connection. */
export class HttpResponse extends Readable {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined once the body is here: the connection may serve another request by then. */
  #socket: Socket | undefined;

  constructor(head: ResponseHead, socket: Socket) {
    super();
    this.statusCode = head.statusCode;
    this.headers = head.headers;
    this.#socket = socket;
  }
  receive(bytes: Buffer): void {
    if (!this.push(bytes)) this.#socket?.pause();
  }
  finish(): void {
    this.#socket = undefined;
    this.push(null);
  }
  override _read(): void {
    this.#socket?.resume();
  }
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket?.destroy();
    done(error);
  }
}

export type HttpAnswer =
  | { readonly kind: "response"; readonly response: HttpResponse }
  | { readonly kind: "upgraded"; readonly socket: Duplex };

export interface ExchangeRequest {
  readonly method: string;
  /** Request line and headers with their last blank line. */
  readonly head: string;
  readonly body: string | Buffer | AsyncIterable<Buffer> | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Sends the request; resolves with the head of the response. `onFree` is called once when both are whole and the connection
 *  may be used again; in every other case the socket is closed or, after an upgrade, the caller's. */
export function exchange(socket: Socket, request: ExchangeRequest, onFree: () => void): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    let response: HttpResponse | undefined;
    let sent = false;
    const abort = (): void => void socket.destroy(new Error("aborted"));
    const parser = new ResponseParser(
      {
        onHead: (head) => {
          if (head.statusCode === 101) return;
          response = new HttpResponse(head, socket);
          resolve({ kind: "response", response });
        },
        onBody: (bytes) => response?.receive(bytes),
        onEnd: () => {
          release();
          response?.finish();
          if (sent && parser.keepAlive) onFree();
          else socket.destroy();
        },
      },
      request.method !== "HEAD",
    );
    const onData = (chunk: Buffer): void => {
      try {
        const rest = parser.feed(chunk);
        if (!parser.isOver || response !== undefined) {
          if (rest.length > 0) socket.destroy();
          return;
        }
        release();
        // As new: it flows once its new owner listens.
        Reflect.set(socket, "readableFlowing", null);
        if (rest.length > 0) socket.unshift(rest);
        resolve({ kind: "upgraded", socket });
      } catch (error) {
        fail(error as Error);
      }
    };
    const onEnd = (): void => {
      try {
        parser.finish();
      } catch (error) {
        fail(response === undefined ? closedEarly() : (error as Error));
      }
    };
    const fail = (error: Error): void => {
      release();
      reject(error);
      response?.destroy(error);
      socket.destroy();
    };
    const onClose = (): void => fail(closedEarly());
    const onTimeout = (): void => fail(new Error("timed out"));
    const release = (): void => {
      socket.off("data", onData).off("end", onEnd).off("error", fail).off("close", onClose).off("timeout", onTimeout);
      request.signal?.removeEventListener("abort", abort);
      // An error that comes with the close of a connection nobody uses any more concerns nobody.
      socket.on("error", ignore);
    };
    socket.off("error", ignore);
    socket.on("data", onData).on("end", onEnd).on("error", fail).on("close", onClose).on("timeout", onTimeout);
    if (request.signal?.aborted === true) return abort();
    request.signal?.addEventListener("abort", abort, { once: true });
    send(socket, request).then(
      () => {
        sent = true;
      },
      (error: Error) => {
        if (response === undefined) fail(error);
      },
    );
  });
}

const ignore = (): void => undefined;

/** The server has closed the connection before it answered: of a kept one it may have done so before it was asked. */
function closedEarly(): Error {
  return Object.assign(new Error("the connection was closed before the answer"), { code: "ECONNRESET" });
}

/** Headers and a short body leave in one packet: a server may take what comes later for stdin (engine-api, 0.5). */
async function send(socket: Socket, { head, body }: ExchangeRequest): Promise<void> {
  if (body === undefined) return void socket.write(head, "latin1");
  if (typeof body === "string")
    return void socket.write(Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body)]));
  socket.write(head, "latin1");
  if (Buffer.isBuffer(body)) return void socket.write(body);
  for await (const chunk of readable(body)) {
    if (chunk.length === 0) continue;
    socket.write(`${chunk.length.toString(16)}\r\n`, "latin1");
    socket.write(chunk);
    const fits = socket.write("\r\n", "latin1");
    if (socket.destroyed) throw closedEarly();
    if (!fits) await drained(socket);
  }
  socket.write("0\r\n\r\n", "latin1");
}

async function* readable(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  try {
    for await (const chunk of body) yield chunk;
  } catch (error) {
    throw new TscomposeError("request/invalid", `cannot read what was to be sent: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}
