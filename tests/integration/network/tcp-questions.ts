/** A connection to the resolver from inside a box. */
import { once } from "node:events";
import { Socket } from "node:net";
import { inNetns } from "../../../src/host/netns.ts";
import * as libc from "../../../src/host/libc.ts";
import { internetAddress } from "../../../src/host/socket-address.ts";
import type { Box } from "./lab.ts";

export interface TcpQuestions {
  write(bytes: Buffer): void;
  /** Sends a question with its length, waits for the answer. One at a time. */
  ask(question: Buffer): Promise<Buffer>;
  readonly closed: Promise<unknown>;
  isClosed(): boolean;
  close(): void;
}

export function questionsOverTcp(box: Box): TcpQuestions {
  const fd = inNetns(box.netns, () => {
    const socket = libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
    try {
      libc.connect(socket, internetAddress(Buffer.from([127, 0, 0, 11]), 53));
    } catch (error) {
      if (libc.syscallErrno(error) !== "EINPROGRESS") throw error;
    }
    return socket;
  });
  const socket = new Socket({ fd, readable: true, writable: true });
  socket.on("error", () => undefined);
  socket.resume();
  let isClosed = false;
  const closed = once(socket, "close").then(() => (isClosed = true));
  return {
    write: (bytes) => void socket.write(bytes),
    ask: async (question) => {
      socket.write(Buffer.concat([Buffer.of(question.length >> 8, question.length & 255), question]));
      const [answer] = (await once(socket, "data")) as [Buffer];
      return answer.subarray(2);
    },
    closed,
    isClosed: () => isClosed,
    close: () => socket.destroy(),
  };
}
