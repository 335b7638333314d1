/** Pulls into a file system that is too small for the image. */
import { execFileSync } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createImageStore } from "../../../src/engine/images/store.ts";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { drain, makeStore, type StoreKit } from "./store-kit.ts";
import { makeTar } from "./tar-kit.ts";

let registry: TestRegistry;
let kit: StoreKit;
beforeAll(async () => {
  registry = await startRegistry();
  kit = makeStore();
});
afterAll(async () => {
  await kit.dispose();
  await registry.stop();
});

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

test("a pull that fills the disk is one clear error with nothing left behind, and succeeds once there is room", async () => {
  const name = `${registry.host}/large:1`;
  const content = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(6_000_000));
  await drain(
    kit.store.importTar(once(makeTar({ name: "noise", content })), {
      reference: name,
      message: "",
      changes: [],
    }),
  );
  await kit.push(name);
  const small = join(kit.root, "small");
  mkdirSync(small);
  // Room for the layer as it comes or as it is unpacked, not for both.
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=9m", "tmpfs", small]);
  const [dataRoot, runRoot] = [join(small, "data"), kit.root];
  const store = createImageStore({
    dataRoot,
    runRoot,
    log: () => undefined,
    emit: () => undefined,
    env: {},
  });
  const { signal } = new AbortController();
  const pull = async (): Promise<unknown> =>
    drain(
      await store.pull({
        reference: name,
        platform: undefined,
        credentials: undefined,
        signal,
      }),
    );
  try {
    await expect(pull()).rejects.toMatchObject({
      code: "host/no-space",
      hint: expect.stringContaining("free") as string,
    });
    expect(await store.list({ all: true, filters: new Map() })).toEqual([]);
    for (const dir of ["images/records", "images/layers", "images/blobs/sha256", "l"]) {
      expect(readdirSync(join(dataRoot, dir)), dir).toEqual([]);
    }
    execFileSync("mount", ["-o", "remount,size=64m", small]);
    await pull();
    expect(store.resolve(name).id).toBe(kit.store.resolve(name).id);
    await store.close();
    expect(readdirSync(join(dataRoot, "images/tmp"))).toEqual([]);
  } finally {
    await store.close();
    execFileSync("umount", [small]);
  }
});
