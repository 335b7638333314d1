import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Docker } from "../../../src/client/docker.ts";
import { isTscomposeError } from "../../../src/errors.ts";

/** A server that a test answers for by hand. */
let directory: string;
let server: Server;
let docker: Docker;
let sockets: Socket[];
let answer: (socket: Socket, request: string) => void;
const json = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "tsc-pool-"));
  sockets = [];
  answer = (socket) => void socket.write(json("[]"));
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => answer(socket, String(chunk)));
  });
  const socketPath = join(directory, "s");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  docker = new Docker({ socketPath });
});
afterEach(async () => {
  docker.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});
const refusal = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no refusal",
    (error: unknown) => error,
  );

describe("connections of the client", () => {
  it("are used again", async () => {
    for (let count = 0; count < 5; count += 1) await docker.listContainers();
    expect(sockets).toHaveLength(1);
  });

  it("may be given: an open one is used first, and closed with the client", async () => {
    const connection = connect(join(directory, "s"));
    await new Promise((resolve) => connection.once("connect", resolve));
    const given = new Docker({ socketPath: join(directory, "s"), connection });
    for (let count = 0; count < 3; count += 1) await given.listContainers();
    expect(sockets).toHaveLength(1);
    given.close();
    expect(connection.destroyed).toBe(true);
  });

  it("may be opened beforehand; one that cannot be is the next request's to report", async () => {
    await docker.modem.prepare();
    await docker.listContainers();
    expect(sockets).toHaveLength(1);
    const nowhere = new Docker({ socketPath: join(directory, "none") });
    await nowhere.modem.prepare();
    expect(String(await refusal(nowhere.listContainers()))).toMatch(/none/);
    nowhere.close();
  });

  it("that were given and have been closed by the server meanwhile are replaced", async () => {
    const connection = connect(join(directory, "s"));
    await new Promise((resolve) => connection.once("connect", resolve));
    const given = new Docker({ socketPath: join(directory, "s"), connection });
    while (sockets.length === 0) await new Promise((resume) => setImmediate(resume));
    sockets[0]?.destroy();
    expect(await given.listContainers()).toEqual([]);
    given.close();
  });

  it("are as many as there are requests at once", async () => {
    await Promise.all(Array.from({ length: 5 }, () => docker.listContainers()));
    expect(sockets).toHaveLength(5);
    await Promise.all(Array.from({ length: 5 }, () => docker.listContainers()));
    expect(sockets).toHaveLength(5);
  });

  it("are not kept when the server says so, or when an answer has not been read to its end", async () => {
    answer = (socket) => socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n[]");
    await docker.listContainers();
    answer = (socket) => void socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    (await docker.getEvents()).destroy();
    answer = (socket) => void socket.write(json("[]"));
    await docker.listContainers();
    expect(sockets).toHaveLength(3);
  });

  it("may have been closed by the server meanwhile: the request is sent again", async () => {
    await docker.listContainers();
    let closed = false;
    answer = (socket) => {
      if (closed) return void socket.write(json("[]"));
      closed = true;
      socket.destroy();
    };
    expect(await docker.listContainers()).toEqual([]);
    expect(sockets).toHaveLength(2);
  });

  it("that fail on their first request say so", async () => {
    answer = (socket) => socket.destroy();
    expect(isTscomposeError(await refusal(docker.listContainers()), "engine/unreachable")).toBe(true);
    answer = (socket) => void socket.write("220 smtp ready\r\n\r\n");
    expect(isTscomposeError(await refusal(docker.listContainers()), "engine/api")).toBe(true);
    answer = (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n[");
    expect(String(await refusal(docker.listContainers()))).toMatch(/ended early/);
  });

  it("take a refusal that comes before the whole body was sent", async () => {
    answer = (socket) => void socket.write('HTTP/1.1 500 Oops\r\nContent-Length: 15\r\n\r\n{"message":"x"}');
    const endless = Readable.from(
      (async function* () {
        for (;;) {
          yield Buffer.alloc(1000);
          await new Promise((resume) => setImmediate(resume));
        }
      })(),
    );
    expect(String(await refusal(docker.loadImage(endless)))).toMatch(/: x$/);
  });

  it("say when what is to be sent cannot be read", async () => {
    answer = () => undefined;
    expect(String(await refusal(docker.loadImage(join(directory, "no-such-file"))))).toMatch(
      /cannot read what was to be sent: ENOENT/,
    );
  });

  it("speak the version of a server that is older", async () => {
    const paths: string[] = [];
    answer = (socket, request) => {
      paths.push(request.split(" ")[1] ?? "");
      const message = `{"message":"client version 1.51 is too new. Maximum supported API version is 1.45"}`;
      const old = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${message.length}\r\n\r\n${message}`;
      socket.write(request.includes("/v1.51/") ? old : json("[]"));
    };
    await docker.listContainers();
    await docker.listImages();
    expect(paths).toEqual(["/v1.51/containers/json", "/v1.45/containers/json", "/v1.45/images/json"]);
  });

  it("send headers and body in one piece, and nothing that a header may not hold", async () => {
    const requests: string[] = [];
    answer = (socket, request) => {
      requests.push(request);
      socket.write(json(`{"Id":"x"}`));
    };
    await docker.createContainer({ name: "ü", Image: "busybox" });
    expect(requests).toEqual([
      expect.stringMatching(/^POST \/v1\.51\/containers\/create\?name=%C3%BC [^]*\r\n\r\n\{"Image":"busybox"\}$/),
    ]);
    expect(String(await refusal(docker.pull("a", { authconfig: { key: "a\r\nEvil: 1" } })))).toMatch(/cannot be sent/);
  });
});
