/** Writes replies and problems to an HTTP response. */
import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { isTscomposeError } from "../errors.ts";
import type { Reply } from "./call.ts";
import { toProblem } from "./problem.ts";
import { apiVersion } from "./routes.ts";

/** On every routed answer. Clients read the operating system out of `Server`, by the pattern `Docker/... (os)`. */
export const standardHeaders: Readonly<Record<string, string>> = {
  "Api-Version": apiVersion,
  "Docker-Experimental": "false",
  Ostype: "linux",
  Server: "Docker/tscompose (linux)",
};

/** Exactly this: the docker CLI compares with equality. */
const jsonType = "application/json";

export async function sendReply(
  response: ServerResponse,
  reply: Exclude<Reply, { kind: "hijack" | "takeover" }>,
): Promise<void> {
  switch (reply.kind) {
    case "json":
      return sendBody(
        response,
        { status: reply.status, type: jsonType, headers: reply.headers },
        toJsonLine(reply.value),
      );
    case "text":
      return sendBody(response, { status: 200, type: "text/plain; charset=utf-8", headers: reply.headers }, reply.text);
    case "empty":
      response.writeHead(reply.status, { ...standardHeaders, ...reply.headers, ...emptyLength(reply.status) });
      response.end();
      return;
    case "later":
      response.writeHead(200, { ...standardHeaders, "Content-Type": jsonType });
      response.flushHeaders();
      response.end(toJsonLine(await reply.value));
      return;
    case "stream":
      response.writeHead(200, { ...standardHeaders, ...reply.headers, "Content-Type": reply.contentType });
      response.flushHeaders();
      await writeAll(response, reply.chunks);
      response.end();
  }
}

interface Head {
  readonly status: number;
  readonly type: string;
  readonly headers: Readonly<Record<string, string>> | undefined;
}
function sendBody(response: ServerResponse, head: Head, body: string): void {
  response.writeHead(head.status, {
    ...standardHeaders,
    "Content-Type": head.type,
    "Content-Length": Buffer.byteLength(body),
    ...head.headers,
  });
  response.end(body);
}

/** 204 and 304 may not have a length. */
function emptyLength(status: number): Readonly<Record<string, string>> {
  return status === 204 || status === 304 ? {} : { "Content-Length": "0" };
}

/** Too late for a status when the headers have gone: then the connection is cut, which clients see as a failure. */
export function sendProblem(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  if (isTscomposeError(error, "container/not-modified"))
    return void sendReply(response, { kind: "empty", status: 304 });
  const { status, body } = toProblem(error);
  sendBody(response, { status, type: jsonType, headers: undefined }, toJsonLine(body));
}

function toJsonLine(value: unknown): string {
  return `${JSON.stringify(value ?? null)}\n`;
}

/** Writes chunk by chunk at the pace of the reader; returns early when the reader has gone. */
export async function writeAll(target: Writable, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    if (target.destroyed) return;
    if (!target.write(chunk) && !(await drained(target))) return;
  }
}

/** False: it was closed instead. */
export function drained(target: Writable): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (result: boolean): void => {
      target.off("drain", onDrain);
      target.off("close", onClose);
      resolve(result);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    target.on("drain", onDrain);
    target.on("close", onClose);
    if (target.destroyed) settle(false);
    else if (!target.writableNeedDrain) settle(true);
  });
}
