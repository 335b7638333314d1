/** Pure: bytes of HTTP/1.1 responses -> heads and bodies. Node's own client costs a command 7 ms more before its first answer
 *  than this does; it also knows much that an engine never sends. Source: RFC 9112, sections 4, 6 and 7. */
import { TscomposeError } from "../../errors.ts";

export interface ResponseHead {
  readonly statusCode: number;
  /** Names in small letters; repeated ones joined with ", ". */
  readonly headers: Readonly<Record<string, string>>;
}
export interface ResponseSink {
  onHead(head: ResponseHead): void;
  onBody(bytes: Buffer): void;
  onEnd(): void;
}

const maxHeadBytes = 1 << 20;
const maxLineBytes = 1024;
type State = "head" | "length" | "chunk-size" | "chunk" | "chunk-end" | "trailer" | "until-close" | "over";

/** Takes one response. After a 101 and after the end of the body it takes nothing more: the rest is the caller's. */
export class ResponseParser {
  readonly #sink: ResponseSink;
  readonly #hasBody: boolean;
  #state: State = "head";
  #pending: Buffer = Buffer.alloc(0);
  /** Bytes of body or chunk to come. */
  #missing = 0;
  /** Whether the connection may be used again. */
  keepAlive = true;

  /** `hasBody` false: the answer to HEAD. */
  constructor(sink: ResponseSink, hasBody: boolean) {
    this.#sink = sink;
    this.#hasBody = hasBody;
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  /** @returns the bytes that do not belong to this response. @throws engine/api for bytes that are not one. */
  feed(chunk: Buffer): Buffer {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = Buffer.alloc(0);
    while (rest.length > 0 && this.#state !== "over") {
      const taken = this.#step(rest);
      if (taken === undefined) {
        this.#pending = rest;
        return Buffer.alloc(0);
      }
      rest = rest.subarray(taken);
    }
    return rest;
  }

  /** The connection has ended. @throws engine/unreachable when the response is not whole. */
  finish(): void {
    if (this.#state === "over") return;
    if (this.#state !== "until-close") {
      throw new TscomposeError(
        "engine/unreachable",
        "the engine's answer ended early: it failed, or was stopped meanwhile",
        {
          hint: "see whether it runs: tscompose engine status",
        },
      );
    }
    this.#end();
  }

  /** The number of bytes it could use; undefined: more are needed first. */
  #step(bytes: Buffer): number | undefined {
    switch (this.#state) {
      case "head":
        return this.#takeHead(bytes);
      case "length":
      case "chunk":
        return this.#takeCounted(bytes);
      case "until-close":
        this.#sink.onBody(bytes);
        return bytes.length;
      case "chunk-size":
        return this.#takeLine(bytes, (line) => this.#startChunk(line));
      case "chunk-end":
        return this.#takeLine(bytes, (line) => {
          if (line !== "") throw broken("a chunk is longer than it said");
          this.#state = "chunk-size";
        });
      case "trailer":
        return this.#takeLine(bytes, (line) => {
          if (line === "") this.#end();
        });
      case "over":
        return 0;
    }
  }

  #takeHead(bytes: Buffer): number | undefined {
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) {
      if (bytes.length > maxHeadBytes) throw broken("its headers are longer than 1 MiB");
      return undefined;
    }
    const head = parseHead(bytes.toString("latin1", 0, end));
    if (head.statusCode >= 200 || head.statusCode === 101) this.#startBody(head);
    return end + 4;
  }

  #startBody(head: ResponseHead): void {
    const { statusCode, headers } = head;
    this.keepAlive = !/\bclose\b/i.test(headers["connection"] ?? "");
    const length = headers["content-length"];
    if (!this.#hasBody || statusCode === 101 || statusCode === 204 || statusCode === 304) this.#state = "over";
    else if (/\bchunked\s*$/i.test(headers["transfer-encoding"] ?? "")) this.#state = "chunk-size";
    else if (length === undefined) this.#state = "until-close";
    else this.#state = this.#startLength(length) > 0 ? "length" : "over";
    if (this.#state === "until-close") this.keepAlive = false;
    const over = this.#state === "over";
    this.#sink.onHead(head);
    if (over && statusCode !== 101) this.#sink.onEnd();
  }

  #startLength(text: string): number {
    if (!/^\d{1,15}$/.test(text)) throw broken(`its length is "${text}"`);
    this.#missing = Number(text);
    return this.#missing;
  }

  #startChunk(line: string): void {
    const size = /^([0-9a-fA-F]{1,12})[ \t]*(;.*)?$/.exec(line)?.[1];
    if (size === undefined) throw broken("it has a chunk without a size");
    this.#missing = parseInt(size, 16);
    this.#state = this.#missing === 0 ? "trailer" : "chunk";
  }

  #takeCounted(bytes: Buffer): number {
    const piece = bytes.subarray(0, this.#missing);
    this.#missing -= piece.length;
    const last = this.#missing === 0;
    const counted = this.#state;
    if (last && counted === "chunk") this.#state = "chunk-end";
    this.#sink.onBody(piece);
    if (last && counted === "length") this.#end();
    return piece.length;
  }

  #takeLine(bytes: Buffer, take: (line: string) => void): number | undefined {
    const end = bytes.indexOf("\r\n");
    if (end > maxLineBytes || (end < 0 && bytes.length > maxLineBytes)) throw broken("it has an endless line");
    if (end < 0) return undefined;
    take(bytes.toString("latin1", 0, end));
    return end + 2;
  }

  #end(): void {
    this.#state = "over";
    this.#sink.onEnd();
  }
}

function parseHead(text: string): ResponseHead {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw broken(`it starts with ${JSON.stringify(statusLine.slice(0, 80))}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name, value = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) throw broken("it has a header that is none");
    const key = name.toLowerCase();
    if (key === "__proto__") continue;
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  return { statusCode: Number(status), headers };
}

function broken(how: string): TscomposeError {
  return new TscomposeError("engine/api", `the engine's answer is not valid HTTP: ${how}`, {
    hint: "check that -H or DOCKER_HOST names an engine, and that it is http or https as the address says",
  });
}
