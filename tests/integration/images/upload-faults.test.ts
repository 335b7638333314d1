/** Uploads over connections that break: a proxy before a real registry cuts them where a test says. */
import { createCipheriv } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { startCuttingProxy, type CuttingProxy, type Seen } from "./cutting-proxy.ts";
import { makeStore, texts, type StoreKit } from "./store-kit.ts";
import { makeTar } from "./tar-kit.ts";

let registry: TestRegistry;
/** Where an image goes first, so that its layers are packed when it goes through the proxy. */
let aside: TestRegistry;
let proxy: CuttingProxy;
let kit: StoreKit;

beforeAll(async () => {
  [registry, aside] = await Promise.all([startRegistry(), startRegistry()]);
  proxy = await startCuttingProxy(registry.port);
});
afterAll(async () => {
  await proxy.stop();
  await registry.stop();
  await aside.stop();
});
beforeEach(() => {
  kit = makeStore();
  proxy.reset();
});
afterEach(() => kit.dispose());

const layerBytes = 6_000_000;
const partBytes = 16 * 1024 * 1024;

/** An image of one layer that does not get smaller, which was never packed. */
async function imageOfNoise(name: string, seed: number, bytes = layerBytes): Promise<void> {
  const key = Buffer.alloc(16, seed);
  const content = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
  const options = { reference: name, message: "", changes: [] };
  for await (const _ of kit.store.importTar(chunks(makeTar({ name: "noise", content })), options));
}
async function packedImage(path: string, seed: number, bytes = layerBytes): Promise<void> {
  await imageOfNoise(`${aside.host}/${path}:1`, seed, bytes);
  await kit.push(`${aside.host}/${path}:1`);
  await kit.store.tag(`${aside.host}/${path}:1`, `${proxy.host}/${path}`, "1");
}
async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** What the registry holds under the name is the image of the store. */
async function expectArrived(path: string): Promise<void> {
  const other = makeStore();
  try {
    await other.pull(`${registry.host}/${path}:1`);
    expect(other.store.resolve(`${registry.host}/${path}:1`).id).toBe(kit.store.resolve(`${proxy.host}/${path}:1`).id);
  } finally {
    await other.dispose();
  }
}
const sent = (requests: readonly Seen[]): readonly Seen[] =>
  requests.filter(({ method, bytes }) => bytes > 1000 && (method === "PUT" || method === "PATCH"));

test("after an upload that breaks off the registry is asked what it has, and the push succeeds", async () => {
  await packedImage("resumed", 1);
  let cut = false;
  proxy.cutRequest = ({ method, headers }) => {
    if (cut || method !== "PUT" || Number(headers["content-length"]) < layerBytes / 2) return undefined;
    cut = true;
    return 4_000_000;
  };
  const said = texts(await kit.push(`${proxy.host}/resumed:1`));
  expect(said.at(-1)).toMatch(/^1: digest: sha256:/);
  expect(cut).toBe(true);
  const asked = proxy.seen.findIndex(({ method, path }) => method === "GET" && path.includes("/blobs/uploads/"));
  expect(asked).toBeGreaterThan(0);
  const resumed = sent(proxy.seen.slice(asked));
  // Once at most: docker-registry keeps nothing of a broken PUT, others keep what came.
  expect(resumed.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(layerBytes + 100_000);
  await expectArrived("resumed");
});

test("a layer that is sent while it is packed survives a break in the middle of the stream", async () => {
  await imageOfNoise(`${proxy.host}/streamed:1`, 2);
  let cuts = 0;
  proxy.cutRequest = ({ method, headers }) =>
    method === "PATCH" && headers["content-length"] === undefined && cuts++ === 0 ? 3_000_000 : undefined;
  const said = texts(await kit.push(`${proxy.host}/streamed:1`));
  expect(said.at(-1)).toMatch(/^1: digest: sha256:/);
  expect(cuts).toBe(1);
  await expectArrived("streamed");
});

test("over a line that broke once a large layer goes in parts, and a part that breaks is all that is sent again", async () => {
  await packedImage("parts", 3, 40_000_000);
  proxy.buffering = true;
  const broken: string[] = [];
  proxy.cutRequest = ({ method, headers }) => {
    const range = headers["content-range"];
    const whole = method === "PUT" && Number(headers["content-length"]) > partBytes;
    if (!whole && !(method === "PATCH" && range?.startsWith(`${partBytes}-`) === true)) return undefined;
    const what = range ?? "whole";
    if (broken.includes(what)) return undefined;
    broken.push(what);
    return 9_000_000;
  };
  const said = texts(await kit.push(`${proxy.host}/parts:1`));
  expect(said.at(-1)).toMatch(/^1: digest: sha256:/);
  const second = `${partBytes}-${2 * partBytes - 1}`;
  expect(broken).toEqual(["whole", second]);
  const ranges = sent(proxy.seen).flatMap(({ method, contentRange }) => (method === "PATCH" ? [contentRange] : []));
  expect(ranges.slice(0, 3)).toEqual([`0-${partBytes - 1}`, second, second]);
  expect(ranges).toHaveLength(4);
  await expectArrived("parts");
});

test("an upload that always breaks is given up after five attempts, and the engine's image stays", async () => {
  await imageOfNoise(`${proxy.host}/broken:1`, 4);
  proxy.cutRequest = ({ method, url }) => (method !== "POST" && url?.includes("/uploads/") === true ? 1000 : undefined);
  await expect(kit.push(`${proxy.host}/broken:1`)).rejects.toThrow(/cannot reach registry/);
  const attempts = sent(proxy.seen).length;
  expect(attempts).toBeGreaterThanOrEqual(5);
  expect(attempts).toBeLessThanOrEqual(7);
  expect(kit.store.resolve(`${proxy.host}/broken:1`).repoTags).toEqual([`${proxy.host}/broken:1`]);
}, 60_000);
