/** What a handler gets and what it gives back. A handler decides; `serve-call.ts` does the HTTP. Types and small makers. */
import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import type { Engine, StdioSession } from "../engine/engine.ts";
import type { Shape } from "./shape.ts";

export interface Call {
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Minor number of the API version the client speaks. */
  readonly minor: number;
  readonly headers: IncomingHttpHeaders;
  /** Fires when the client has gone. */
  readonly signal: AbortSignal;
  /** The JSON body, checked; undefined when empty. */
  json<T>(shape: Shape): Promise<T | undefined>;
  /** The body as a stream. */
  bytes(): AsyncIterable<Buffer>;
}

export type Reply =
  | { readonly kind: "json"; readonly status: number; readonly value: unknown; readonly headers?: Headers }
  | { readonly kind: "text"; readonly text: string; readonly headers?: Headers }
  | { readonly kind: "empty"; readonly status: number; readonly headers?: Headers }
  /** Headers now, the value when it is known. */
  | { readonly kind: "later"; readonly value: Promise<unknown> }
  | {
      readonly kind: "stream";
      readonly contentType: string;
      readonly chunks: AsyncIterable<Buffer>;
      readonly headers?: Headers;
    }
  | {
      readonly kind: "hijack";
      readonly session: StdioSession;
      /** Frames for stdout and stderr, else raw bytes. */
      readonly multiplexed: boolean;
      /** Whether the client may write to stdin. */
      readonly stdin: boolean;
      readonly contentType: string;
    }
  | {
      /** The connection becomes another protocol's. */
      readonly kind: "takeover";
      readonly protocol: "h2c";
      /** Settles when the connection has ended. */
      serve(socket: Duplex): Promise<void>;
    };
type Headers = Readonly<Record<string, string>>;

export type Handler = (call: Call, engine: Engine) => Promise<Reply>;

export const ok = (value: unknown): Reply => ({ kind: "json", status: 200, value });
export const created = (value: unknown): Reply => ({ kind: "json", status: 201, value });
export const empty = (status: number): Reply => ({ kind: "empty", status });

export const rawStream = "application/vnd.docker.raw-stream";
export const multiplexedStream = "application/vnd.docker.multiplexed-stream";
/** The type that says whether frames follow exists since 1.42. */
export function stdioContentType(multiplexed: boolean, minor: number): string {
  return multiplexed && minor >= 42 ? multiplexedStream : rawStream;
}

/** A path parameter; the router guarantees it. */
export function parameter(call: Call, key: string): string {
  return call.parameters[key] ?? "";
}
