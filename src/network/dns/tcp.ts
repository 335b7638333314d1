/** Questions over connections. Source: RFC 1035 section 4.2.2, RFC 7766. */
import { createServer, type Socket } from "node:net";
import type { Answerer } from "./answerer.ts";
import type { Door } from "./server.ts";

const maximumConnections = 64;
const idleMs = 5000;
/** Nobody asks anything that long. */
const longestQuestion = 4096;
/** One that asks and does not read must not fill our memory. */
const unreadLimit = 4 * 65_535;

/** Takes over `fd`, a bound socket. Of too many connections the oldest is closed. */
export function serveTcp(fd: number, answer: Answerer): Door {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    if (open.size > maximumConnections) open.values().next().value?.destroy();
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    readFrames(socket, (message) => {
      const reply = answer(message, "tcp");
      if (reply instanceof Promise) void reply.then((late) => write(socket, late));
      else if (reply !== undefined) write(socket, reply);
    });
  });
  server.on("error", () => undefined);
  server.listen({ fd });
  return {
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

function write(socket: Socket, answer: Buffer): void {
  if (socket.destroyed) return;
  const length = Buffer.alloc(2);
  length.writeUInt16BE(answer.length);
  socket.write(Buffer.concat([length, answer]));
  if (socket.writableLength > unreadLimit) socket.destroy();
}

function readFrames(socket: Socket, onMessage: (message: Buffer) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && !socket.destroyed) {
      const end = 2 + pending.readUInt16BE(0);
      if (end > 2 + longestQuestion) return void socket.destroy();
      if (pending.length < end) return;
      onMessage(pending.subarray(2, end));
      pending = pending.subarray(end);
    }
  });
}
