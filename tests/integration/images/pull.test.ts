/** Pulls from a real registry on loopback. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { EngineEvent } from "../../../src/engine/events.ts";
import { createImageStore } from "../../../src/engine/images/store.ts";
import type { ProgressMessage, RegistryCredentials } from "../../../src/engine/types.ts";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { pushTestImage, type PushedImage } from "./push-test-image.ts";

let registry: TestRegistry;
let image: PushedImage;
let root: string;
let store: ReturnType<typeof createImageStore>;
let events: EngineEvent[];

beforeAll(async () => {
  registry = await startRegistry();
  image = await pushTestImage(registry.url, "team/app", "1.0");
});
afterAll(() => registry.stop());
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pull-"));
  events = [];
  store = createImageStore({
    dataRoot: join(root, "data"),
    runRoot: root,
    log: () => undefined,
    emit: (event) => events.push(event),
    env: {},
  });
});
afterEach(async () => {
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

async function pull(
  reference: string,
  options: { credentials?: RegistryCredentials; platform?: string; signal?: AbortSignal } = {},
): Promise<ProgressMessage[]> {
  const messages: ProgressMessage[] = [];
  const stream = await store.pull({
    reference,
    platform: options.platform,
    credentials: options.credentials,
    signal: options.signal ?? new AbortController().signal,
  });
  for await (const message of stream) messages.push(message);
  return messages;
}
async function push(reference: string): Promise<void> {
  const { signal } = new AbortController();
  const stream = await store.push({ reference, tag: undefined, platform: undefined, credentials: undefined, signal });
  for await (const _ of stream);
}
async function reopen(env: Readonly<Record<string, string>>): Promise<void> {
  await store.close();
  const quiet = { log: () => undefined, emit: () => undefined };
  store = createImageStore({ dataRoot: join(root, "data"), runRoot: root, ...quiet, env });
}
const texts = (messages: readonly ProgressMessage[]): string[] =>
  messages
    .filter(({ status }) => status !== "Downloading" && status !== "Extracting")
    .map(({ id, status }) => (id === undefined ? "" : `${id}: `) + status);

describe("pull", () => {
  test("by tag: Docker's messages, all layers verified and unpacked, the name and the digest known", async () => {
    const name = `${registry.host}/team/app:1.0`;
    const said = texts(await pull(name));
    expect(said[0]).toBe("1.0: Pulling from team/app");
    expect(said.filter((text) => text.endsWith("Pull complete"))).toHaveLength(image.layers.length);
    expect(said.slice(-2)).toEqual([`Digest: ${image.digest}`, `Status: Downloaded newer image for ${name}`]);
    const stored = store.resolve(name);
    expect(stored.id).toBe(image.id);
    expect(stored.repoDigests).toEqual([`${registry.host}/team/app@${image.digest}`]);
    expect(stored.layerDirs.map((dir) => readdirSync(dir).toSorted())).toEqual(image.layers.map(({ files }) => files));
    expect(readFileSync(join(stored.layerDirs[0] ?? "", "one"), "utf8")).toBe("content of one\n");
    expect(events.map(({ action, id }) => [action, id])).toEqual([["pull", name]]);
  });

  test("again: the layers exist and the image is up to date", async () => {
    const name = `${registry.host}/team/app:1.0`;
    await pull(name);
    const said = texts(await pull(name));
    expect(said.filter((text) => text.endsWith("Already exists"))).toHaveLength(image.layers.length);
    expect(said.at(-1)).toBe(`Status: Image is up to date for ${name}`);
  });

  test("by digest", async () => {
    const name = `${registry.host}/team/app@${image.digest}`;
    await pull(name);
    expect(store.resolve(name)).toMatchObject({ id: image.id, repoTags: [] });
  });

  test("blobs are kept as they came", async () => {
    await pull(`${registry.host}/team/app:1.0`);
    const kept = readdirSync(join(root, "data/images/blobs/sha256")).map((hex) => `sha256:${hex}`);
    expect(kept.toSorted()).toEqual([image.digest, image.id, ...image.layers.map(({ digest }) => digest)].toSorted());
  });

  test("a platform that the manifest list does not have is refused, one that it has is found", async () => {
    const name = `${registry.host}/team/app:multi`;
    await expect(pull(name, { platform: "linux/s390x" })).rejects.toThrow("no matching manifest for linux/s390x");
    await pull(name);
    expect(store.resolve(name).id).toBe(image.id);
    expect(store.resolve(name).repoDigests).toEqual([`${registry.host}/team/app@${image.indexDigest}`]);
  });

  test("ten pulls at once fetch each layer once", async () => {
    const name = `${registry.host}/team/app:1.0`;
    const all = await Promise.all(Array.from({ length: 10 }, () => pull(name)));
    for (const messages of all) expect(texts(messages).at(-1)).toContain(name);
    const downloaded = all.flat().filter(({ status }) => status === "Download complete");
    expect(downloaded).toHaveLength(image.layers.length);
  });
});

describe("what is refused before the first message", () => {
  const start = (reference: string): Promise<unknown> =>
    store.pull({ reference, platform: undefined, credentials: undefined, signal: new AbortController().signal });

  test("an unknown tag, an unknown repository, an unreachable registry, a bad name", async () => {
    await expect(start(`${registry.host}/team/app:none`)).rejects.toMatchObject({ code: "image/not-found" });
    await expect(start(`${registry.host}/no/such:1`)).rejects.toMatchObject({ code: "image/not-found" });
    await expect(start("127.0.0.1:1/x")).rejects.toMatchObject({
      code: "registry/unreachable",
      message: expect.stringContaining("127.0.0.1:1") as string,
    });
    await expect(start("UPPER")).rejects.toMatchObject({ code: "request/invalid" });
    await expect(start("scratch")).rejects.toThrow("'scratch' is a reserved name");
  });
});

describe("a registry with a password and TLS", () => {
  let guarded: TestRegistry;
  beforeAll(async () => {
    guarded = await startRegistry({ users: { kim: "s3cret" }, tls: true });
    await pushTestImage(guarded.url, "private/app", "1", { user: "kim:s3cret" });
  });
  afterAll(() => guarded.stop());

  test("lets in who brings the password, and says clearly that others may not", async () => {
    const name = `${guarded.host}/private/app:1`;
    await expect(pull(name)).rejects.toMatchObject({ code: "image/pull-denied" });
    await expect(pull(name, { credentials: { username: "kim", password: "wrong-canary" } })).rejects.toSatisfy(
      (error: Error) => error.message.includes("access denied") && !error.message.includes("canary"),
    );
    await pull(name, { credentials: { username: "kim", password: "s3cret" } });
    expect(store.resolve(name).repoTags).toEqual([name]);
  });

  test("the engine's own docker configuration is not lent to a client that brings nothing", async () => {
    const auth = Buffer.from("kim:s3cret").toString("base64");
    writeFileSync(join(root, "config.json"), JSON.stringify({ auths: { [guarded.host]: { auth } } }));
    await reopen({ DOCKER_CONFIG: root });
    const name = `${guarded.host}/private/app:1`;
    await expect(pull(name)).rejects.toMatchObject({ code: "image/pull-denied" });
    await pull(name, { credentials: { username: "kim", password: "s3cret" } });
    await expect(push(name)).rejects.toMatchObject({ code: "image/pull-denied" });
    const signal = new AbortController().signal;
    const asked = { reference: name, credentials: undefined, signal };
    await expect(store.distribution(asked)).rejects.toMatchObject({ code: "image/pull-denied" });
    const search = {
      term: `${guarded.host}/app`,
      limit: 5,
      official: undefined,
      stars: 0,
      credentials: undefined,
      signal,
    };
    await expect(store.search(search)).rejects.toThrow();
  });

  test("a mirror, which is the engine's, is asked with what docker's config file has for it", async () => {
    const auth = Buffer.from("kim:s3cret").toString("base64");
    writeFileSync(join(root, "config.json"), JSON.stringify({ auths: { [guarded.host]: { auth } } }));
    await trustGuarded();
    await reopen({ DOCKER_CONFIG: root, TSCOMPOSE_REGISTRY_MIRRORS: `registry.invalid=${guarded.url}` });
    await pull("registry.invalid/private/app:1");
    const found = spawnSync("grep", ["-rlE", "s3cret|" + auth, join(root, "data")], { encoding: "utf8" });
    expect([found.status, found.stdout]).toEqual([1, ""]);
  });

  test("for a mirror a credential helper is asked through its protocol", async () => {
    writeFileSync(
      join(root, "docker-credential-test"),
      '#!/bin/sh\nread -r host\necho "{\\"ServerURL\\":\\"$host\\",\\"Username\\":\\"kim\\",\\"Secret\\":\\"s3cret\\"}"\n',
      { mode: 0o755 },
    );
    writeFileSync(join(root, "config.json"), JSON.stringify({ credHelpers: { [guarded.host]: "test" } }));
    await trustGuarded();
    await reopen({
      DOCKER_CONFIG: root,
      PATH: `${root}:/usr/bin:/bin`,
      TSCOMPOSE_REGISTRY_MIRRORS: `registry.invalid=${guarded.url}`,
    });
    await pull("registry.invalid/private/app:1");
  });

  async function trustGuarded(): Promise<void> {
    await store.close();
    mkdirSync(join(root, "data/certs.d", guarded.host), { recursive: true });
    writeFileSync(join(root, "data/certs.d", guarded.host, "ca.crt"), guarded.certificate ?? "");
  }
});

describe("a registry that wants a client's certificate", () => {
  test("gets the one of certs.d, a key without its certificate is an error with the folder, and none is refused with a hint", async () => {
    const strict = await startRegistry({ tls: true, wantsClient: true });
    try {
      const name = `${strict.host}/team/app:1`;
      await expect(pull(name)).rejects.toMatchObject({
        code: "registry/unreachable",
        hint: expect.stringContaining("client.cert") as string,
      });
      const folder = join(root, "certs", strict.host);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "ca.crt"), strict.certificate ?? "");
      writeFileSync(join(folder, "client.key"), strict.client?.key ?? "");
      await reopen({ TSCOMPOSE_CERTS_DIR: join(root, "certs") });
      await expect(pull(name)).rejects.toThrow(`${folder}: missing client certificate client.cert for key client.key`);
      writeFileSync(join(folder, "client.cert"), strict.client?.certificate ?? "");
      await pull(`${registry.host}/team/app:1.0`);
      await store.tag(`${registry.host}/team/app:1.0`, `${strict.host}/team/app`, "1");
      await push(name);
      await store.remove(name, { force: false, noPrune: false });
      await pull(name);
      expect(store.resolve(name).id).toBe(image.id);
      rmSync(join(folder, "client.key"));
      await expect(pull(name)).rejects.toThrow("missing key client.key for client certificate client.cert");
    } finally {
      await strict.stop();
    }
  });
});

describe("mirrors", () => {
  test("are asked first, and passed over when they do not have the image", async () => {
    await reopen({
      TSCOMPOSE_REGISTRY_MIRRORS: `registry.invalid=http://127.0.0.1:1, registry.invalid=${registry.url}`,
    });
    await pull("registry.invalid/team/app:1.0");
    expect(store.resolve("registry.invalid/team/app:1.0").id).toBe(image.id);
  });

  test("that give another manifest for a digest are not believed: what the registry itself has is taken", async () => {
    const [lying, origin] = await Promise.all([startRegistry(), startRegistry({ tls: true })]);
    try {
      const wanted = await pushTestImage(origin.url, "team/app", "1", { salt: "wanted" });
      await pushTestImage(lying.url, "team/app", "1", { salt: "wanted" });
      const hex = wanted.digest.slice("sha256:".length);
      const stored = join(lying.dir, "storage/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
      // As valid a manifest as the other, but another one.
      writeFileSync(stored, JSON.stringify(JSON.parse(readFileSync(stored, "utf8")), undefined, 1));
      await reopen({ TSCOMPOSE_REGISTRY_MIRRORS: `${origin.host}=${lying.url}` });
      await pull(`${origin.host}/team/app@${wanted.digest}`);
      expect(store.resolve(`${origin.host}/team/app@${wanted.digest}`).manifestDigest).toBe(wanted.digest);
      await origin.stop();
      await store.remove(`${origin.host}/team/app@${wanted.digest}`, { force: true, noPrune: false });
      await expect(pull(`${origin.host}/team/app@${wanted.digest}`)).rejects.toThrow();
    } finally {
      await lying.stop();
      await origin.stop();
    }
  });
});

describe("what goes wrong leaves nothing behind", () => {
  const residue = async (): Promise<string[]> => {
    await store.close();
    const dir = join(root, "data");
    return ["images/tmp", "images/records", "l"].flatMap((name) =>
      readdirSync(join(dir, name)).map((file) => `${name}/${file}`),
    );
  };

  test("a blob that does not match its digest", async () => {
    const bad = await pushTestImage(registry.url, "team/bad", "1", { salt: "bad" });
    const hex = bad.layers[1]?.digest.slice(7) ?? "";
    const blob = join(registry.dir, "storage/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    const size = statSync(blob).size;
    writeFileSync(blob, Buffer.alloc(size, 1));
    await expect(pull(`${registry.host}/team/bad:1`)).rejects.toThrow(
      /expected sha256:[a-f0-9]{64}, got|stream is broken|tar archive is broken/,
    );
    const left = await residue();
    expect(left.filter((name) => !name.startsWith("l/"))).toEqual([]);
    expect(left.length).toBeLessThan(bad.layers.length);
  });

  test("an abort in the middle", async () => {
    const abort = new AbortController();
    const stream = await store.pull({
      reference: `${registry.host}/team/app:1.0`,
      platform: undefined,
      credentials: undefined,
      signal: abort.signal,
    });
    abort.abort();
    await expect(
      (async () => {
        for await (const message of stream) void message;
      })(),
    ).rejects.toMatchObject({ code: "aborted" });
    expect((await residue()).filter((name) => !name.startsWith("l/"))).toEqual([]);
  });
});

test("zstd and uncompressed layers are taken", async () => {
  for (const compression of ["zstd", "none"] as const) {
    await pushTestImage(registry.url, "team/packed", compression, { compression });
    await pull(`${registry.host}/team/packed:${compression}`);
    const stored = store.resolve(`${registry.host}/team/packed:${compression}`);
    expect(readFileSync(join(stored.layerDirs[0] ?? "", "one"), "utf8")).toBe("content of one\n");
  }
});
