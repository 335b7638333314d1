/** Speaks HTTP to an engine: route -> request -> parsed answer, stream or duplex. One keep-alive pool, as many sockets as
 *  there are requests at once. */
import { Agent, request as httpRequest } from "node:http";
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Duplex, Readable } from "node:stream";
import { apiVersion, routes } from "../api/routes.ts";
import type { Route, RouteName } from "../api/routes.ts";
import type { ProgressMessage } from "../api/wire.ts";
import { TscomposeError, isTscomposeError } from "../errors.ts";
import { formatAddress, resolveAddress } from "./address.ts";
import type { EngineAddress } from "./address.ts";
import { emptyDuplex, readAnswer, readProblem } from "./answer.ts";
import { connectionError, progressError } from "./failure.ts";
import type { BytesSource, DockerOptions } from "./options.ts";
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
  readonly #agent: Agent | Promise<Agent>;
  #version: string;

  constructor(options: DockerOptions = {}) {
    this.#options = options;
    this.address = resolveAddress(options, process.env);
    this.#agent = createAgent(this.address);
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
    const client = await this.#open(route, target, { upgrade, signal });
    const answered = awaitAnswer(client).catch((error: unknown) => {
      throw connectionError(error, {
        address: formatAddress(this.address),
        signal,
        target: `${route.method} ${target.path}`,
      });
    });
    await sendBody(client, target.body, request.bytes, answered);
    const answer = await answered;
    if (answer.kind === "upgraded") return answer.socket;
    const status = answer.response.statusCode ?? 0;
    if (status < 200 || status > 299) throw await readProblem(answer.response, `${route.method} ${target.path}`);
    if (route.mode === "stream" || request.early === true) return answer.response;
    if (upgrade)
      throw new TscomposeError("engine/api", `the engine did not hand over the connection of ${target.path}`);
    const value = await readAnswer(answer.response);
    return route.mode === "hijack" ? emptyDuplex() : value;
  }

  async #open(
    route: Route,
    target: RequestTarget,
    call: { readonly upgrade: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<ClientRequest> {
    const headers: Record<string, string | number> = { ...this.#options.headers, ...target.headers };
    if (target.body !== undefined) {
      headers["Content-Type"] = "application/json";
      headers["Content-Length"] = Buffer.byteLength(target.body);
    } else if (route.body === "bytes") headers["Content-Type"] = "application/x-tar";
    if (call.upgrade) Object.assign(headers, { Connection: "Upgrade", Upgrade: "tcp" });
    const options: RequestOptions = {
      method: route.method,
      path: route.path === "/_ping" ? target.path : `/v${this.#version}${target.path}`,
      headers,
      agent: await this.#agent,
      ...(this.#options.timeout === undefined ? {} : { timeout: this.#options.timeout }),
      ...(call.signal === undefined ? {} : { signal: call.signal }),
      ...(this.address.kind === "unix"
        ? { socketPath: this.address.socketPath, host: "localhost" }
        : { host: this.address.host, port: this.address.port }),
    };
    if (this.address.kind === "unix" || this.address.protocol === "http") return httpRequest(options);
    const { request: httpsRequest } = await import("node:https");
    return httpsRequest({ ...options, ...this.address.tls });
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

  close(): void {
    void Promise.resolve(this.#agent).then((agent) => {
      agent.destroy();
    });
  }
}

async function write(target: NodeJS.WritableStream | undefined, data: Buffer): Promise<void> {
  if (target === undefined || target.write(data)) return;
  await new Promise((resolve) => target.once("drain", resolve));
}

function createAgent(address: EngineAddress): Agent | Promise<Agent> {
  if (address.kind === "unix" || address.protocol === "http") return new Agent({ keepAlive: true });
  return import("node:https").then(({ Agent: TlsAgent }) => new TlsAgent({ keepAlive: true, ...address.tls }));
}

type Answer =
  | { readonly kind: "response"; readonly response: IncomingMessage }
  | { readonly kind: "upgraded"; readonly socket: Duplex };

function awaitAnswer(client: ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    client.on("response", (response) => resolve({ kind: "response", response }));
    client.on("upgrade", (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ kind: "upgraded", socket });
    });
    client.on("timeout", () => client.destroy(new Error("timed out")));
    client.on("error", reject);
  });
}

/** Headers and a JSON body leave in one packet: a server may take what comes later for stdin (engine-api, 0.5). */
async function sendBody(
  client: ClientRequest,
  body: string | undefined,
  bytes: BytesSource | undefined,
  answered: Promise<Answer>,
): Promise<void> {
  if (bytes === undefined) return void client.end(body);
  if (Buffer.isBuffer(bytes)) return void client.end(bytes);
  const source = typeof bytes === "string" ? (await import("node:fs")).createReadStream(bytes) : bytes;
  const sent = pipeline(source, client).catch((error: unknown) => {
    client.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  // A refusal may come before the body was taken.
  await Promise.race([sent, answered.catch(() => undefined)]);
}
