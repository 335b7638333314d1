/** Questions in datagrams. libuv says when there is one and reads it; what came behind it is read, and all answers sent, in a few
 *  system calls. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { DatagramBatch, sendTo } from "../../host/datagrams.ts";
import { internetAddress } from "../../host/socket-address.ts";
import { addressBytes, parseAddress } from "../cidr.ts";
import { largestUdpSize } from "./question.ts";
import type { Answerer } from "./answerer.ts";
import type { Door } from "./server.ts";

/** A container that asks without end gets so many answers before the other containers get their turn. */
const answersATurn = 256;
let shared: DatagramBatch | undefined;

/** Takes over `fd`, a bound socket that does not block. */
export function serveUdp(fd: number, answer: Answerer, log: (level: "warn", message: string) => void): Door {
  const socket = createSocket("udp4");
  const batch = (shared ??= new DatagramBatch(64, largestUdpSize));
  let closed = false;
  let left = answersATurn;

  const later = (running: Promise<Buffer>, sender: Buffer): void => {
    void running.then((late) => {
      if (!closed) sendTo(fd, late, sender);
    });
  };
  const drain = (): void => {
    while (left > 0) {
      const count = batch.receive(fd);
      for (let slot = 0; slot < count; slot += 1) {
        const reply = answer(batch.message(slot), "udp");
        if (reply instanceof Promise) later(reply, batch.sender(slot));
        else if (reply !== undefined) batch.reply(slot, reply);
      }
      batch.send(fd);
      left -= count;
      if (count < batch.capacity) return;
    }
  };
  socket.on("error", (error) => log("warn", `name server socket: ${error.message}`));
  socket.on("message", (message, from) => {
    const reply = answer(message, "udp");
    if (reply instanceof Promise) later(reply, socketAddress(from));
    else if (reply !== undefined) sendTo(fd, reply, socketAddress(from));
    if (left === answersATurn) setImmediate(() => (left = answersATurn));
    left -= 1;
    if (!closed) drain();
  });
  socket.bind({ fd });
  return {
    close: () => {
      closed = true;
      socket.close();
    },
  };
}

const loopback = Buffer.of(127, 0, 0, 1);
function socketAddress(from: RemoteInfo): Buffer {
  if (from.address === "127.0.0.1") return internetAddress(loopback, from.port);
  const address = parseAddress(from.address);
  return internetAddress(address === undefined ? loopback : addressBytes(address), from.port);
}
