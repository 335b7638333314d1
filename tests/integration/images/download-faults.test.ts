/** Downloads over connections that break: a proxy before a real registry cuts them where a test says. */
import { createCipheriv } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { startCuttingProxy, type CuttingProxy } from "./cutting-proxy.ts";
import { drain, makeStore, type StoreKit } from "./store-kit.ts";
import { makeTar } from "./tar-kit.ts";

let registry: TestRegistry;
let proxy: CuttingProxy;
let kit: StoreKit;

beforeAll(async () => {
  registry = await startRegistry();
  proxy = await startCuttingProxy(registry.port);
});
afterAll(async () => {
  await proxy.stop();
  await registry.stop();
});
beforeEach(() => {
  kit = makeStore();
});
afterEach(() => kit.dispose());

const layerBytes = 4_000_000;
const cutBytes = 1_500_000;

test("ten layers whose transfers all break go on where they stopped: at most a twentieth comes twice", async () => {
  const layers: string[] = [];
  for (let seed = 1; seed <= 10; seed += 1) {
    const key = Buffer.alloc(16, seed);
    const content = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(layerBytes));
    const reference = `${registry.host}/part-${seed}:1`;
    const tar = (async function* () {
      yield makeTar({ name: `noise-${seed}`, content });
    })();
    await drain(kit.store.importTar(tar, { reference, message: "", changes: [] }));
    layers.push(...kit.store.resolve(reference).config.rootfs.diff_ids);
  }
  const { config } = kit.store.resolve(`${registry.host}/part-1:1`);
  await kit.store.commitImage({ ...config, rootfs: { type: "layers", diff_ids: layers } }, [`${registry.host}/ten:1`]);
  await kit.push(`${registry.host}/ten:1`);

  const broken = new Set<string>();
  proxy.cutAnswer = ({ url = "", headers }) => {
    if (!url.includes("/blobs/") || (headers.range === undefined && broken.has(url)) || broken.has(`${url} again`))
      return undefined;
    broken.add(headers.range === undefined ? url : `${url} again`);
    return cutBytes;
  };
  const other = makeStore();
  try {
    await other.pull(`${proxy.host}/ten:1`);
    expect(other.store.resolve(`${proxy.host}/ten:1`).config.rootfs.diff_ids).toEqual(layers);
  } finally {
    await other.dispose();
  }
  const blobs = proxy.seen.filter(({ method, path }) => method === "GET" && path.includes("/blobs/"));
  const large = [...broken].filter((url) => url.endsWith(" again")).map((url) => url.slice(0, -" again".length));
  expect(large).toHaveLength(10);
  for (const url of large) {
    const starts = blobs
      .filter(({ path }) => path === url)
      .map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? "bytes=0-")?.[1]));
    expect(starts).toHaveLength(3);
    const [, second = 0, third = 0] = starts;
    // What was under way when a connection ended may be lost.
    const twice = cutBytes - second + (second + cutBytes - third);
    expect(twice).toBeGreaterThanOrEqual(0);
    expect(twice).toBeLessThan(0.05 * layerBytes);
  }
}, 60_000);
