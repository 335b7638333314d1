/** A proxy before a real registry that cuts connections where a test says, and remembers what was asked. */
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly contentRange: string | undefined;
  readonly range: string | undefined;
  /** Bytes of the body that came. */
  bytes: number;
  /** Of the registry's answer; undefined: cut. */
  status: number | undefined;
}
export interface CuttingProxy {
  readonly host: string;
  readonly seen: readonly Seen[];
  /** Bytes of a request's body after which its connection is cut; undefined: not. */
  cutRequest: (request: IncomingMessage) => number | undefined;
  /** Bytes of an answer's body after which its connection is cut; undefined: not. */
  cutAnswer: (request: IncomingMessage) => number | undefined;
  /** As proxies with request buffering do: the registry sees a request when all of it has come, and never a part. */
  buffering: boolean;
  /** Forgets what was seen, and cuts nothing. */
  reset(): void;
  stop(): Promise<void>;
}

/** @param port of the registry on loopback */
export async function startCuttingProxy(port: number): Promise<CuttingProxy> {
  const seen: Seen[] = [];
  const server = createServer((incoming, answer) => handle(incoming, answer));
  const handle = (incoming: IncomingMessage, answer: ServerResponse): void => {
    const entry: Seen = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      contentRange: incoming.headers["content-range"],
      range: incoming.headers.range,
      bytes: 0,
      status: undefined,
    };
    seen.push(entry);
    const limit = proxy.cutRequest(incoming) ?? Infinity;
    const { method, url: path, headers } = incoming;
    const connect = (): ReturnType<typeof forward> =>
      forward({ host: "127.0.0.1", port, method, path, headers }, (response) => {
        entry.status = response.statusCode;
        answer.writeHead(response.statusCode ?? 500, response.headers);
        pass(response, answer, proxy.cutAnswer(incoming));
      }).on("error", () => incoming.socket.destroy());
    const held: Buffer[] = [];
    const outgoing = proxy.buffering ? undefined : connect();
    incoming.on("data", (chunk: Buffer) => {
      entry.bytes += chunk.length;
      const over = entry.bytes - limit;
      if (over <= 0) return outgoing === undefined ? void held.push(chunk) : void outgoing.write(chunk);
      if (outgoing === undefined) return void incoming.socket.destroy();
      // What came so far is to reach the registry before the connection ends.
      outgoing.write(chunk.subarray(0, Math.max(0, chunk.length - over)), () => {
        outgoing.destroy();
        incoming.socket.destroy();
      });
    });
    incoming.on("end", () => (outgoing ?? connect()).end(outgoing === undefined ? Buffer.concat(held) : undefined));
    incoming.on("error", () => outgoing?.destroy());
  };
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const proxy: CuttingProxy = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    cutRequest: () => undefined,
    cutAnswer: () => undefined,
    buffering: false,
    reset: () => {
      seen.length = 0;
      proxy.cutRequest = () => undefined;
      proxy.cutAnswer = () => undefined;
      proxy.buffering = false;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return proxy;
}

function pass(response: IncomingMessage, answer: ServerResponse, limit: number | undefined): void {
  if (limit === undefined) return void response.pipe(answer);
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    const left = limit - bytes;
    bytes += chunk.length;
    if (left > chunk.length) return void answer.write(chunk);
    answer.write(chunk.subarray(0, Math.max(0, left)), () => {
      response.destroy();
      // Its end, not a reset, which would take along what is still under way.
      answer.socket?.end();
    });
  });
  response.on("end", () => answer.end());
}
