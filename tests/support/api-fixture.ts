/** A memory engine behind the real API server on a unix socket of its own, our client, and raw connections to it. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "../../src/api/server.ts";
import type { ApiServer } from "../../src/api/server.ts";
import { Docker } from "../../src/client/docker.ts";
import { createMemoryEngine } from "./memory-engine.ts";
import type { MemoryEngine } from "./memory-engine.ts";

export interface ApiFixture {
  readonly engine: MemoryEngine;
  readonly server: ApiServer;
  readonly socketPath: string;
  readonly docker: Docker;
  /** Opens a connection, writes `text`, gives the connection. */
  dial(text: string): RawConnection;
  /** One request with `Connection: close`: everything the server sent. */
  ask(head: string, body?: string): Promise<string>;
  close(): Promise<void>;
}

/** What came back so far, and ways to wait for more. */
export interface RawConnection {
  readonly socket: Socket;
  readonly received: () => string;
  /** Resolves once what was received satisfies `condition`; rejects when the connection ends before. */
  until(condition: (text: string) => boolean): Promise<string>;
  /** Everything, once the server has closed its side. */
  readonly ended: Promise<string>;
}

export async function startApi(): Promise<ApiFixture> {
  const directory = mkdtempSync(join(tmpdir(), "tscompose-api-"));
  const socketPath = join(directory, "docker.sock");
  const engine = createMemoryEngine();
  const server = createServer(engine);
  await server.listen(socketPath);
  const docker = new Docker({ socketPath });
  const dial = (text: string): RawConnection => rawConnection(socketPath, text);
  return {
    engine,
    server,
    socketPath,
    docker,
    dial,
    ask: (head, body = "") => {
      const length = body === "" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
      return dial(`${head}\r\nHost: x\r\nConnection: close\r\n${length}\r\n${body}`).ended;
    },
    close: async () => {
      docker.close();
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function rawConnection(socketPath: string, text: string): RawConnection {
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  const received = (): string => Buffer.concat(chunks).toString("latin1");
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<string>((resolve, reject) => {
    socket.on("end", () => {
      socket.end();
      resolve(received());
    });
    socket.on("error", reject);
  });
  ended.catch(() => undefined);
  socket.write(text);
  return {
    socket,
    received,
    ended,
    until: (condition) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (condition(received())) resolve(received());
        };
        socket.on("data", check);
        ended.then(() => reject(new Error(`the server closed after: ${received()}`)), reject);
        check();
      }),
  };
}
