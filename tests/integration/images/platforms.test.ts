/** Several platforms of one name: pulled one after the other from a real registry's index, told apart, pushed on as an index. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { drain, makeStore, texts, type StoreKit } from "./store-kit.ts";
import { makeTar } from "./tar-kit.ts";

const [ours, other] = process.arch === "arm64" ? ["linux/arm64", "linux/amd64"] : ["linux/amd64", "linux/arm64"];
const architecture = (platform: string): string => platform.slice("linux/".length);
const listType = "application/vnd.docker.distribution.manifest.list.v2+json";
const manifestType = "application/vnd.docker.distribution.manifest.v2+json";

let registry: TestRegistry;
let kit: StoreKit;
let name: string;

/** Makes `team/app:1` an index of two images that were made by import. */
beforeAll(async () => {
  registry = await startRegistry();
  const maker = makeStore();
  try {
    const manifests = [];
    for (const platform of [other, ours]) {
      const reference = `${registry.host}/team/app:${architecture(platform)}`;
      const tar = (async function* () {
        yield makeTar({ name: "for", content: Buffer.from(platform) });
      })();
      await drain(maker.store.importTar(tar, { reference, message: "", changes: [], platform }));
      const pushed = texts(await maker.push(reference)).at(-1) ?? "";
      const [, digest = "", size = ""] = /digest: (\S+) size: (\d+)/.exec(pushed) ?? [];
      const described = { os: "linux", architecture: architecture(platform) };
      manifests.push({ mediaType: manifestType, digest, size: Number(size), platform: described });
    }
    const answer = await fetch(`${registry.url}/v2/team/app/manifests/1`, {
      method: "PUT",
      headers: { "content-type": listType },
      body: JSON.stringify({ schemaVersion: 2, mediaType: listType, manifests }),
    });
    expect(answer.status).toBe(201);
  } finally {
    await maker.dispose();
  }
});
afterAll(() => registry.stop());
beforeEach(() => {
  kit = makeStore();
  name = `${registry.host}/team/app:1`;
});
afterEach(() => kit.dispose());

async function pull(from: StoreKit, reference: string, platform?: string): Promise<void> {
  const signal = new AbortController().signal;
  await drain(await from.store.pull({ reference, platform, credentials: undefined, signal }));
}
const all = { all: false, filters: new Map<string, readonly string[]>(), manifests: true };

test.each([
  [ours, other],
  [other, ours],
])("%s, then %s: the name is this machine's image, the other is found by its platform", async (first, second) => {
  await pull(kit, name, first);
  await pull(kit, name, second);
  await kit.reopen();
  expect((await kit.store.inspect(name)).Architecture).toBe(architecture(ours));
  for (const platform of [ours, other]) {
    expect((await kit.store.inspect(name, { platform })).Architecture).toBe(architecture(platform));
    expect(await kit.store.history(name, { platform })).toHaveLength(1);
    expect(kit.store.resolve(name, platform).config.architecture).toBe(architecture(platform));
  }
  await expect(kit.store.inspect(name, { platform: "linux/s390x" })).rejects.toThrow(
    "does not provide the specified platform (linux/s390x)",
  );
  const listed = await kit.store.list(all);
  expect(listed.map(({ RepoTags }) => RepoTags)).toEqual([[name]]);
  expect(listed[0]?.Manifests?.map(({ ImageData }) => ImageData.Platform.architecture)).toEqual([
    architecture(ours),
    architecture(other),
  ]);
});

test("both are pushed as an index, of which another store pulls either; a platform alone is pushed alone", async () => {
  await pull(kit, name, other);
  await pull(kit, name);
  await kit.store.tag(name, `${registry.host}/copy/app`, "2");
  const said = texts(await kit.push(`${registry.host}/copy/app:2`));
  const digest = /digest: (sha256:[a-f0-9]{64})/.exec(said.at(-1) ?? "")?.[1];
  const answer = await fetch(`${registry.url}/v2/copy/app/manifests/2`, { headers: { accept: listType } });
  expect(answer.headers.get("docker-content-digest")).toBe(digest);
  expect(await answer.json()).toMatchObject({
    mediaType: listType,
    manifests: [ours, other].map((platform) => ({ platform: { os: "linux", architecture: architecture(platform) } })),
  });
  const elsewhere = makeStore();
  try {
    for (const platform of [ours, other]) {
      await pull(elsewhere, `${registry.host}/copy/app:2`, platform);
      const [there, here] = [elsewhere, kit].map(({ store }) => store.resolve(`${registry.host}/copy/app:2`, platform));
      expect(there?.id).toBe(here?.id);
    }
  } finally {
    await elsewhere.dispose();
  }
  await kit.store.tag(name, `${registry.host}/alone/app`, "1");
  const signal = new AbortController().signal;
  const alone = { reference: `${registry.host}/alone/app:1`, tag: undefined, platform: other, credentials: undefined };
  await drain(await kit.store.push({ ...alone, signal }));
  const single = await fetch(`${registry.url}/v2/alone/app/manifests/1`, { headers: { accept: manifestType } });
  expect(single.headers.get("content-type")).toBe(manifestType);
});

test("a prune of what has no name leaves them, removing the name removes both, and nothing of them is left", async () => {
  await pull(kit, name, other);
  await pull(kit, name);
  expect((await kit.store.prune(new Map())).ImagesDeleted).toEqual([]);
  expect(kit.store.resolve(name, other).config.architecture).toBe(architecture(other));
  await kit.store.remove(name, { force: false, noPrune: false });
  expect(await kit.store.list(all)).toEqual([]);
  expect([...kit.store.imageLayers()]).toEqual([]);
});

test("a saved platform is loaded under the name it was asked for", async () => {
  await pull(kit, name, other);
  await pull(kit, name);
  const elsewhere = makeStore();
  try {
    const archive = await kit.store.save([name], undefined, { platform: other });
    await drain(elsewhere.store.load(archive));
    expect(elsewhere.store.resolve(name).id).toBe(kit.store.resolve(name, other).id);
  } finally {
    await elsewhere.dispose();
  }
});
