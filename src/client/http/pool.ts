/** Keep-alive connections to one address: as many as there are requests at once, the last one used first. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { errnoOf } from "../../errors.ts";
import type { EngineAddress } from "../address.ts";
import { exchange } from "./exchange.ts";
import type { ExchangeRequest, HttpAnswer } from "./exchange.ts";

export class ConnectionPool {
  readonly #address: EngineAddress;
  readonly #timeoutMs: number;
  readonly #idle: Socket[] = [];
  #closed = false;

  /** `timeoutMs`: without a byte, before a request is given up; 0: never. */
  constructor(address: EngineAddress, timeoutMs: number) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
  }

  /** Sends on an idle connection or a new one. A request without a stream that meets a connection which was closed meanwhile
   *  is sent again on a new one. */
  async request(request: ExchangeRequest): Promise<HttpAnswer> {
    const idle = this.#idle.pop();
    if (idle === undefined) return await this.#on(await this.#connect(request.signal), request);
    const before = idle.bytesRead;
    try {
      return await this.#on(idle, request);
    } catch (error) {
      const gone = ["ECONNRESET", "EPIPE"].includes(errnoOf(error) ?? "") && idle.bytesRead === before;
      const replayable = request.body === undefined || typeof request.body === "string";
      if (!gone || !replayable || request.signal?.aborted === true) throw error;
      return await this.#on(await this.#connect(request.signal), request);
    }
  }

  /** Takes an open connection over. */
  add(socket: Socket): void {
    this.#watch(socket);
    this.#keep(socket);
  }

  /** Opens a connection for a request that will come, unless there is one. That it cannot be opened is the request's to say. */
  async prepare(): Promise<void> {
    if (this.#idle.length > 0) return;
    try {
      this.#keep(await this.#connect(undefined));
    } catch {
      // See above.
    }
  }

  #on(socket: Socket, request: ExchangeRequest): Promise<HttpAnswer> {
    socket.ref();
    socket.setTimeout(this.#timeoutMs);
    return exchange(socket, request, () => this.#keep(socket));
  }

  #keep(socket: Socket): void {
    if (this.#closed || socket.destroyed || socket.readableEnded) return void socket.destroy();
    socket.setTimeout(0);
    socket.unref();
    socket.resume(); // or nobody would notice that the server closes it
    this.#idle.push(socket);
  }

  async #connect(signal: AbortSignal | undefined): Promise<Socket> {
    const socket = await this.#open();
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => void socket.destroy(new Error("aborted"));
      const settle = (error?: Error): void => {
        socket.off("error", settle).off("connect", succeed).off("secureConnect", succeed);
        signal?.removeEventListener("abort", abort);
        if (error === undefined) resolve();
        else reject(error);
      };
      const succeed = (): void => settle();
      socket.on("error", settle).on(this.#isTls ? "secureConnect" : "connect", succeed);
      if (signal?.aborted === true) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
    this.#watch(socket);
    return socket;
  }

  #watch(socket: Socket): void {
    socket.on("close", () => {
      const index = this.#idle.indexOf(socket);
      if (index >= 0) this.#idle.splice(index, 1);
    });
  }

  get #isTls(): boolean {
    return this.#address.kind === "tcp" && this.#address.protocol === "https";
  }

  async #open(): Promise<Socket> {
    const address = this.#address;
    if (address.kind === "unix") return connect(address.socketPath);
    const { host, port } = address;
    if (!this.#isTls) return connect({ host, port, noDelay: true });
    const { connect: connectTls } = await import("node:tls");
    return connectTls({ host, port, servername: /^[\d.:]+$/.test(host) ? "" : host, ...address.tls });
  }

  /** Closes idle connections; the others when they become idle. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#idle.splice(0)) socket.destroy();
  }
}
