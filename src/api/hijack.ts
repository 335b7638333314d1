/** Turns an HTTP connection into the stdio of a process. Half-close of the client is end of file for stdin and nothing
 *  else; when the process has ended and its output is written, the server closes. Source: engine-api reference, section 3. */
import { STATUS_CODES } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { errorMessage } from "../errors.ts";
import type { Reply } from "./call.ts";
import { rawStream } from "./call.ts";
import { toProblem } from "./problem.ts";
import { drained, standardHeaders } from "./reply.ts";
import { encodeFrame } from "./stdcopy.ts";
import { closeWhenPeerVanishes } from "./vanished-peers.ts";

export type HijackReply = Extract<Reply, { kind: "hijack" }>;

/** Writes the status line and pumps until both sides are done. `upgraded`: the client sent `Upgrade: tcp`; without it the
 *  type is always raw-stream, even with frames. */
export async function runHijack(socket: Duplex, reply: HijackReply, upgraded: boolean): Promise<void> {
  const head = upgraded
    ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${reply.contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n`
    : `HTTP/1.1 200 OK\r\nContent-Type: ${rawStream}\r\n`;
  socket.write(`${head}${headerLines()}\r\n`);
  pumpInput(socket, reply);
  await pumpOutput(socket, reply);
}

/** Gives the connection to what speaks the other protocol on it. */
export async function runTakeover(socket: Duplex, reply: Extract<Reply, { kind: "takeover" }>): Promise<void> {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${reply.protocol}\r\n${headerLines()}\r\n`,
  );
  // Neither side of such a protocol goes on when the other has ended; the server lets connections be half open.
  socket.on("end", () => socket.destroy());
  await reply.serve(socket);
}

function headerLines(): string {
  return Object.entries(standardHeaders)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

function pumpInput(socket: Duplex, reply: HijackReply): void {
  const { session } = reply;
  let queue: Promise<unknown> = Promise.resolve();
  const take = async (chunk: Buffer): Promise<void> => {
    socket.pause();
    await session.writeStdin(chunk);
    socket.resume();
  };
  socket.on("error", () => undefined); // "close" follows
  socket.on("close", () => session.detach());
  socket.on("end", () => closeWhenPeerVanishes(socket));
  if (reply.stdin) {
    socket.on("data", (chunk: Buffer) => {
      queue = queue.then(() => take(chunk)).catch(() => socket.destroy());
    });
    socket.on("end", () => {
      queue = queue.then(() => session.endStdin()).catch(() => socket.destroy());
    });
  }
  socket.resume();
}

async function pumpOutput(socket: Duplex, reply: HijackReply): Promise<void> {
  try {
    for await (const { stream, data } of reply.session.output) {
      if (socket.destroyed) return;
      const bytes = reply.multiplexed ? encodeFrame(stream === "stderr" ? "stderr" : "stdout", data) : data;
      if (!socket.write(bytes) && !(await drained(socket))) return;
    }
  } catch (error) {
    if (socket.destroyed) return;
    const text = Buffer.from(`${errorMessage(error)}\r\n`);
    socket.write(reply.multiplexed ? encodeFrame("stdout", text) : text);
  } finally {
    closeWritten(socket);
  }
}

/** Closes once everything is written, whatever the client still sends. */
function closeWritten(socket: Duplex): void {
  if (!socket.destroyed) socket.end(() => socket.destroy());
}

/** The refusal of an attach: plain text, for the client has asked for a stream (engine-api, 3.1). */
export function refuseAttach(socket: Duplex, error: unknown): void {
  const { status, body } = toProblem(error);
  const text = STATUS_CODES[status] ?? "Error";
  socket.write(
    `HTTP/1.1 ${status} ${text}\r\nContent-Type: ${rawStream}\r\nConnection: close\r\n\r\n${body.message}\n`,
  );
  closeWritten(socket);
}

/** Takes the connection of a request without `Upgrade` away from Node's HTTP server, after its body has been read: the
 *  server's listeners go, and listening for data makes the socket readable for us again. */
export function detachConnection(request: IncomingMessage, response: ServerResponse): Socket {
  const { socket } = request;
  response.detachSocket(socket);
  for (const event of ["data", "end", "drain", "timeout", "error"]) socket.removeAllListeners(event);
  socket.on("data", () => undefined).pause();
  socket.removeAllListeners("data");
  socket.setTimeout(0);
  return socket;
}

/** The body that precedes the stream on an upgraded connection, and the bytes after it, which belong to the stream. Node
 *  hands both over unparsed. */
export async function takeUpgradeBody(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  cap: number,
): Promise<Buffer | undefined> {
  if (head.length > 0) socket.unshift(head);
  const chunked = /\bchunked\b/i.test(request.headers["transfer-encoding"] ?? "");
  const length = Number(request.headers["content-length"] ?? 0);
  if (length > cap) return undefined;
  if (!chunked) return readExactly(socket, length);
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const size = parseInt((await readLine(socket))?.toString("latin1") ?? "", 16);
    total += size;
    if (!Number.isSafeInteger(size) || size < 0 || total > cap) return undefined;
    const data = await readExactly(socket, size);
    if (data === undefined || (await readExactly(socket, 2)) === undefined) return undefined;
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(data);
  }
}

/** Undefined when the connection ends before. */
async function readExactly(socket: Duplex, length: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  for (let missing = length; missing > 0;) {
    const chunk = await readSome(socket);
    if (chunk === undefined) return undefined;
    chunks.push(chunk.subarray(0, missing));
    if (chunk.length > missing) socket.unshift(chunk.subarray(missing));
    missing -= Math.min(missing, chunk.length);
  }
  return Buffer.concat(chunks);
}

/** Up to CRLF, at most 64 bytes; without the end. */
async function readLine(socket: Duplex): Promise<Buffer | undefined> {
  let line = Buffer.alloc(0);
  while (line.length < 64) {
    const byte = await readExactly(socket, 1);
    if (byte === undefined) return undefined;
    line = Buffer.concat([line, byte]);
    if (line.subarray(-2).toString("latin1") === "\r\n") return line.subarray(0, -2);
  }
  return undefined;
}

function readSome(socket: Duplex): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const attempt = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk !== null) settle(chunk);
    };
    const onEnd = (): void => settle(undefined);
    const settle = (result: Buffer | undefined): void => {
      socket.off("readable", attempt);
      socket.off("end", onEnd);
      socket.off("close", onEnd);
      resolve(result);
    };
    socket.on("readable", attempt);
    socket.on("end", onEnd);
    socket.on("close", onEnd);
    if (socket.destroyed || socket.readableEnded) settle(undefined);
    else attempt();
  });
}
