/** Uploads over connections that break: a proxy before a real registry cuts them where a test says. */
import { createCipheriv } from "node:crypto";
import { createServer, request as forward, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { makeTar } from "./tar-kit.ts";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { makeStore, texts, type StoreKit } from "./store-kit.ts";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  bytes: number;
}
let registry: TestRegistry;
let proxy: Server;
let host: string;
let kit: StoreKit;
let seen: Seen[] = [];
/** Bytes of a request's body after which its connection is cut; undefined: not. */
let cutAfter: (request: IncomingMessage) => number | undefined = () => undefined;

beforeAll(async () => {
  registry = await startRegistry();
  proxy = createServer((incoming, answer) => {
    const entry: Seen = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      range: incoming.headers["content-range"],
      bytes: 0,
    };
    seen.push(entry);
    const limit = cutAfter(incoming) ?? Infinity;
    const outgoing = forward(
      {
        host: "127.0.0.1",
        port: registry.port,
        method: incoming.method,
        path: incoming.url,
        headers: incoming.headers,
      },
      (response) => {
        answer.writeHead(response.statusCode ?? 500, response.headers);
        response.pipe(answer);
      },
    );
    outgoing.on("error", () => incoming.socket.destroy());
    incoming.on("data", (chunk: Buffer) => {
      entry.bytes += chunk.length;
      if (entry.bytes <= limit) return void outgoing.write(chunk);
      // What came so far is to reach the registry before the connection ends.
      outgoing.write(chunk.subarray(0, Math.max(0, chunk.length - (entry.bytes - limit))), () => {
        outgoing.destroy();
        incoming.socket.destroy();
      });
    });
    incoming.on("end", () => outgoing.end());
    incoming.on("error", () => outgoing.destroy());
  });
  await new Promise<void>((ready) => proxy.listen(0, "127.0.0.1", ready));
  host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterAll(async () => {
  proxy.closeAllConnections();
  await new Promise((closed) => proxy.close(closed));
  await registry.stop();
});
beforeEach(() => {
  kit = makeStore();
  seen = [];
});
afterEach(async () => {
  cutAfter = () => undefined;
  await kit.dispose();
});

const layerBytes = 6_000_000;
async function imageOfNoise(name: string, seed: number): Promise<void> {
  const key = Buffer.alloc(16, seed);
  const content = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(layerBytes));
  const tar = makeTar({ name: "noise", content });
  const options = { reference: name, message: "", changes: [] };
  for await (const _ of kit.store.importTar(chunks(tar), options));
}
async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

test("after an upload that breaks off the registry is asked what it has, and the push succeeds", async () => {
  await imageOfNoise(`${host}/resumed:1`, 1);
  let cut = false;
  cutAfter = ({ method, headers }) => {
    if (cut || method !== "PUT" || Number(headers["content-length"]) < layerBytes / 2) return undefined;
    cut = true;
    return 4_000_000;
  };
  const said = texts(await kit.push(`${host}/resumed:1`));
  expect(said.at(-1)).toMatch(/^1: digest: sha256:/);
  expect(cut).toBe(true);
  const asked = seen.findIndex(({ method, path }) => method === "GET" && path.includes("/blobs/uploads/"));
  expect(asked).toBeGreaterThan(0);
  const resumed = seen.slice(asked).filter(({ bytes, method }) => bytes > 0 && method !== "POST");
  // Once at most: docker-registry keeps nothing of a broken PUT, others keep what came.
  expect(resumed.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(layerBytes + 100_000);
  const other = makeStore();
  try {
    await other.pull(`${registry.host}/resumed:1`);
    expect(other.store.resolve(`${registry.host}/resumed:1`).id).toBe(kit.store.resolve(`${host}/resumed:1`).id);
  } finally {
    await other.dispose();
  }
});

test("an upload that always breaks is given up after five attempts, and the engine's image stays", async () => {
  await imageOfNoise(`${host}/broken:1`, 2);
  cutAfter = ({ method, headers }) =>
    method !== "POST" && Number(headers["content-length"]) > layerBytes / 4 ? 1000 : undefined;
  await expect(kit.push(`${host}/broken:1`)).rejects.toThrow(/cannot reach registry/);
  expect(kit.store.resolve(`${host}/broken:1`).repoTags).toEqual([`${host}/broken:1`]);
}, 60_000);
