/** Speaks HTTP to an engine: route -> request -> parsed answer, stream or duplex. One keep-alive pool, as many sockets as
 *  there are requests at once. */
import type { Readable } from "node:stream";
import { apiVersion, routes } from "../api/routes.ts";
import type { Route, RouteName } from "../api/routes.ts";
import type { ProgressMessage } from "../api/wire.ts";
import { TscomposeError, isTscomposeError } from "../errors.ts";
import { formatAddress, resolveAddress } from "./address.ts";
import type { EngineAddress } from "./address.ts";
import { emptyDuplex, readAnswer, readProblem, readWarning } from "./answer.ts";
import { connectionError, progressError } from "./failure.ts";
import { ConnectionPool } from "./http/pool.ts";
import type { BytesSource, DockerOptions, StopQuery } from "./options.ts";
import { buildTarget } from "./request-target.ts";
import type { RequestTarget } from "./request-target.ts";
import { demux, readBytes, readJsonLines } from "./streams.ts";

export interface ModemRequest {
  /** Fill the placeholders of the path. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly options?: object;
  /** The body of routes that take a stream. */
  readonly bytes?: BytesSource;
  /** False: asks a hijack route without taking the connection over. */
  readonly upgrade?: boolean;
  /** True: gives the response of a json route as a stream, as soon as its headers are there. */
  readonly early?: boolean;
}

export class Modem {
  readonly address: EngineAddress;
  readonly #options: DockerOptions;
  readonly #pool: ConnectionPool;
  #version: string;

  constructor(options: DockerOptions = {}) {
    this.#options = options;
    this.address = resolveAddress(options, process.env);
    this.#pool = new ConnectionPool(this.address, options.timeout ?? 0);
    if (options.connection !== undefined) this.#pool.add(options.connection);
    this.#version = (options.version ?? apiVersion).replace(/^v/, "");
  }

  /** The answer of a route: JSON value or undefined (`json`), the response (`stream`), the connection (`hijack`).
   *  @throws the server's refusal; engine/unreachable; aborted. */
  async request<Result>(name: RouteName, request: ModemRequest = {}): Promise<Result> {
    const route: Route = routes[name];
    const options = (request.options ?? {}) as Readonly<Record<string, unknown>>;
    const target = buildTarget(route, request.parameters ?? {}, options);
    try {
      return (await this.#send(route, target, request)) as Result;
    } catch (error) {
      if (!this.#stepDown(error) || request.bytes !== undefined) throw error;
      return (await this.#send(route, target, request)) as Result;
    }
  }

  /** True when the server is older than this client and the version was ours to choose: the next try speaks the server's. */
  #stepDown(error: unknown): boolean {
    if (this.#options.version !== undefined || !isTscomposeError(error)) return false;
    const newest = /is too new\. Maximum supported API version is (\d+\.\d+)/.exec(error.message)?.[1];
    if (newest === undefined || newest === this.#version) return false;
    this.#version = newest;
    return true;
  }

  async #send(route: Route, target: RequestTarget, request: ModemRequest): Promise<unknown> {
    const upgrade = route.mode === "hijack" && request.upgrade !== false;
    const signal = (request.options as { readonly abortSignal?: AbortSignal } | undefined)?.abortSignal;
    const body =
      request.bytes === undefined
        ? target.body
        : typeof request.bytes === "string"
          ? readFile(request.bytes)
          : request.bytes;
    const answer = await this.#pool
      .request({ method: route.method, head: this.#head(route, target, { upgrade, body }), body, signal })
      .catch((error: unknown) => {
        const call = { address: formatAddress(this.address), signal, target: `${route.method} ${target.path}` };
        throw connectionError(error, call);
      });
    if (answer.kind === "upgraded") return answer.socket;
    const { statusCode } = answer.response;
    if (statusCode < 200 || statusCode > 299)
      throw await readProblem(answer.response, `${route.method} ${target.path}`);
    if (route.mode === "stream" || request.early === true) return answer.response;
    if (upgrade)
      throw new TscomposeError("engine/api", `the engine did not hand over the connection of ${target.path}`);
    const value = await readAnswer(answer.response);
    const warning = readWarning(answer.response);
    if (warning !== undefined) (request.options as StopQuery | undefined)?.onWarning?.(warning);
    return route.mode === "hijack" ? emptyDuplex() : value;
  }

  #head(route: Route, target: RequestTarget, call: { readonly upgrade: boolean; readonly body: RequestBody }): string {
    const path = route.path === "/_ping" ? target.path : `/v${this.#version}${target.path}`;
    const host = this.address.kind === "unix" ? "localhost" : formatAddress(this.address).replace(/^\w+:\/\//, "");
    const headers: Readonly<Record<string, string>> = {
      Host: host,
      "User-Agent": "tscompose",
      ...this.#options.headers,
      ...target.headers,
      ...bodyHeaders(route, call.body),
      ...(call.upgrade ? { Connection: "Upgrade", Upgrade: "tcp" } : {}),
    };
    const lines = Object.entries(headers).map(([name, value]) => {
      if (/^[\w-]+$/.test(name) && !/[\r\n\0]/.test(value)) return `${name}: ${value}\r\n`;
      throw new TscomposeError("request/invalid", `the header ${JSON.stringify(name)} cannot be sent`);
    });
    return `${route.method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
  }

  /** All bytes of a stream. */
  async collect(stream: Readable): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of readBytes(stream)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** The messages of a pull, push, load or build. @throws at a line that carries an error. */
  async *progress(stream: Readable, signal?: AbortSignal): AsyncGenerator<ProgressMessage, void, void> {
    for await (const message of readJsonLines<ProgressMessage>(stream, signal)) {
      const failure = message.errorDetail?.message ?? message.error;
      if (failure !== undefined) throw progressError(failure, message);
      yield message;
    }
  }

  /** dockerode's: `onProgress` a message, `onFinished` once, with all of them or the first error. */
  followProgress(
    stream: Readable,
    onFinished: (error: Error | null, output: readonly ProgressMessage[]) => void,
    onProgress?: (message: ProgressMessage) => void,
  ): void {
    const output: ProgressMessage[] = [];
    const follow = async (): Promise<void> => {
      for await (const message of this.progress(stream)) {
        output.push(message);
        onProgress?.(message);
      }
    };
    follow().then(
      () => onFinished(null, output),
      (error: unknown) => onFinished(error instanceof Error ? error : new Error(String(error)), output),
    );
  }

  /** dockerode's: writes the two halves of a framed stream. An error ends as "error" of `stream`. */
  demuxStream(stream: Readable, stdout: NodeJS.WritableStream, stderr: NodeJS.WritableStream): void {
    this.copyOutput(stream, [stdout, stderr], false).catch((error: unknown) => {
      stream.emit("error", error);
    });
  }

  /** Copies output to one or two writables, respecting their pace; ends none. */
  async copyOutput(
    stream: Readable,
    output: NodeJS.WritableStream | readonly [NodeJS.WritableStream, NodeJS.WritableStream] | undefined,
    tty: boolean,
  ): Promise<void> {
    const [stdout, stderr] = output === undefined ? [] : "write" in output ? [output, output] : output;
    if (tty) {
      for await (const chunk of readBytes(stream)) await write(stdout, chunk);
      return;
    }
    for await (const piece of demux(stream)) await write(piece.stream === "stdout" ? stdout : stderr, piece.data);
  }

  /** Has a connection ready for a request whose answer somebody will wait for. */
  prepare(): Promise<void> {
    return this.#pool.prepare();
  }

  close(): void {
    this.#pool.close();
  }
}

async function write(target: NodeJS.WritableStream | undefined, data: Buffer): Promise<void> {
  if (target === undefined || target.write(data)) return;
  await new Promise((resolve) => target.once("drain", resolve));
}

type RequestBody = string | Buffer | AsyncIterable<Buffer> | undefined;

function bodyHeaders(route: Route, body: RequestBody): Readonly<Record<string, string>> {
  if (body === undefined) return route.method === "POST" ? { "Content-Length": "0" } : {};
  if (typeof body === "string") {
    return { "Content-Type": "application/json", "Content-Length": String(Buffer.byteLength(body)) };
  }
  const type = { "Content-Type": "application/x-tar" };
  if (Buffer.isBuffer(body)) return { ...type, "Content-Length": String(body.length) };
  return { ...type, "Transfer-Encoding": "chunked" };
}

/** Opens a file only when its first byte is wanted: an error before that would find nobody listening. */
async function* readFile(path: string): AsyncGenerator<Buffer, void, void> {
  const { createReadStream } = await import("node:fs");
  yield* createReadStream(path) as AsyncIterable<Buffer>;
}
