/** Pushes to a real registry on loopback, and what comes back from there. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { makeBusyboxArchive } from "../../support/images.ts";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { makeStore, texts, type StoreKit } from "./store-kit.ts";

let registry: TestRegistry;
let kit: StoreKit;
let other: StoreKit;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.stop());
beforeEach(() => {
  kit = makeStore();
  other = makeStore();
});
afterEach(async () => {
  await kit.dispose();
  await other.dispose();
});

test("a loaded image arrives in the registry and is the same when another store pulls it", async () => {
  await kit.load(await makeBusyboxArchive(kit.root));
  const name = `${registry.host}/first/box:1`;
  await kit.store.tag("busybox", `${registry.host}/first/box`, "1");
  const messages = await kit.push(`${registry.host}/first/box`, { tag: "1" });
  const said = texts(messages);
  expect(said[0]).toBe(`The push refers to repository [${registry.host}/first/box]`);
  expect(said.at(-1)).toMatch(/^1: digest: sha256:[a-f0-9]{64} size: \d+$/);
  const digest = /sha256:[a-f0-9]{64}/.exec(said.at(-1) ?? "")?.[0] ?? "";
  expect(messages.at(-1)).toMatchObject({ aux: { Tag: "1", Digest: digest } });
  expect(kit.store.resolve(name).repoDigests).toEqual([`${registry.host}/first/box@${digest}`]);
  expect(kit.events.map(({ action }) => action)).toEqual(["load", "tag", "push"]);

  await other.pull(name);
  const [pushed, pulled] = [kit.store.resolve(name), other.store.resolve(name)];
  expect(pulled.id).toBe(pushed.id);
  expect(pulled.manifestDigest).toBe(digest);
  execFileSync("diff", ["-r", "--no-dereference", pushed.layerDirs[0] ?? "", pulled.layerDirs[0] ?? ""]);
});

test("again nothing is sent, and to another repository the layers are mounted", async () => {
  await kit.load(await makeBusyboxArchive(kit.root));
  for (const repository of ["second/box", "third/box"])
    await kit.store.tag("busybox", `${registry.host}/${repository}`, "1");
  const first = texts(await kit.push(`${registry.host}/second/box:1`));
  const again = texts(await kit.push(`${registry.host}/second/box:1`));
  expect(again.some((text) => text.endsWith("Layer already exists"))).toBe(true);
  expect(again.at(-1)).toBe(first.at(-1));
  const mounted = texts(await kit.push(`${registry.host}/third/box:1`));
  expect(mounted.some((text) => text.endsWith("Mounted from second/box"))).toBe(true);
});

test("an image with a committed layer can be pushed, also after a restart", async () => {
  await kit.load(await makeBusyboxArchive(kit.root));
  const base = kit.store.resolve("busybox");
  const upper = join(kit.dataRoot, "upper");
  mkdirSync(join(upper, "etc"), { recursive: true });
  writeFileSync(join(upper, "etc/new"), "new\n");
  execFileSync("mknod", [join(upper, "etc/group"), "c", "0", "0"]);
  const layer = await kit.store.commitLayer(base.chainId, upper);
  const rootfs = { type: "layers" as const, diff_ids: [...base.config.rootfs.diff_ids, layer.diffId] };
  await kit.store.commitImage({ ...base.config, rootfs }, [`${registry.host}/made/here:1`]);
  await kit.reopen();
  await kit.push(`${registry.host}/made/here:1`);
  await other.pull(`${registry.host}/made/here:1`);
  const dir = other.store.resolve(`${registry.host}/made/here:1`).layerDirs[1] ?? "";
  expect(
    execFileSync("find", [dir, "-mindepth", "1", "-printf", "%P %y %s\n"], { encoding: "utf8" }).split("\n").toSorted(),
  ).toEqual(["", "etc d 4096", "etc/group c 0", "etc/new f 4"].toSorted());
});

test("what was pulled is pushed elsewhere bit for bit", async () => {
  await kit.load(await makeBusyboxArchive(kit.root));
  await kit.store.tag("busybox", `${registry.host}/orig/box`, "1");
  await kit.push(`${registry.host}/orig/box:1`);
  await other.pull(`${registry.host}/orig/box:1`);
  const second = await startRegistry();
  try {
    await other.store.tag(`${registry.host}/orig/box:1`, `${second.host}/copy/box`, "1");
    const said = texts(await other.push(`${second.host}/copy/box:1`));
    expect(said.at(-1)).toContain(other.store.resolve(`${second.host}/copy/box:1`).manifestDigest ?? "none");
    expect(other.store.resolve(`${second.host}/copy/box:1`).manifestDigest).toBe(
      kit.store.resolve(`${registry.host}/orig/box:1`).manifestDigest,
    );
  } finally {
    await second.stop();
  }
});

test("a name without an image is refused before the first message, a wrong password within the stream", async () => {
  await expect(kit.push(`${registry.host}/no/such`, { tag: "1" })).rejects.toThrow(
    `An image does not exist locally with the tag: ${registry.host}/no/such:1`,
  );
  const guarded = await startRegistry({ users: { kim: "s3cret" } });
  try {
    await kit.load(await makeBusyboxArchive(kit.root));
    await kit.store.tag("busybox", `${guarded.host}/box`, "1");
    await expect(kit.push(`${guarded.host}/box:1`)).rejects.toMatchObject({ code: "image/pull-denied" });
    await kit.push(`${guarded.host}/box:1`, { credentials: { username: "kim", password: "s3cret" } });
  } finally {
    await guarded.stop();
  }
});
