/** An image built for several platforms: one name, each platform's files, and an index in a real registry. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { buildLines, type Outcome } from "./build-fixture.ts";

let engine: EngineProcess;
let registry: TestRegistry;
beforeAll(async () => {
  [engine, registry] = await Promise.all([EngineProcess.start(), startRegistry()]);
});
afterAll(async () => {
  try {
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await Promise.all([engine.dispose(), registry.stop()]);
  }
});

const [ours, other] = process.arch === "arm64" ? ["linux/arm64", "linux/amd64"] : ["linux/amd64", "linux/arm64"];
const architecture = (platform: string): string => platform.slice("linux/".length);
const lines = ["FROM scratch", "ARG TARGETARCH", "COPY for-$TARGETARCH /arch", 'CMD ["/arch"]'];
const files = { "for-amd64": "amd64", "for-arm64": "arm64 too" };

async function build(tag: string, platforms: readonly string[], more: readonly string[] = []): Promise<Outcome> {
  return await buildLines(engine, [...lines, ...more], files, { t: tag, platform: platforms.join(",") });
}

interface Manifest {
  readonly digest: string;
  readonly platform: { readonly architecture: string };
}

test("each platform has its own files under the one name, and a push sends an index of them", async () => {
  const name = `${registry.host}/team/app:1`;
  const outcome = await build(name, [other, ours]);
  expect(outcome.error).toBeUndefined();
  expect(outcome.text).toContain("Step 2/4 : ARG TARGETARCH");
  expect(outcome.text.match(/Successfully tagged/g)).toHaveLength(1);
  const image = engine.docker.getImage(name);
  const info = await image.inspect();
  expect([info.Architecture, info.Id]).toEqual([architecture(ours), outcome.id]);
  const listed = (await engine.docker.listImages()).filter(({ RepoTags }) => RepoTags?.includes(name) === true);
  expect(listed).toHaveLength(1);

  for await (const message of await image.push()) void message;
  const accept = "application/vnd.docker.distribution.manifest.list.v2+json";
  const answer = await fetch(`${registry.url}/v2/team/app/manifests/1`, { headers: { accept } });
  const { manifests } = (await answer.json()) as { readonly manifests: readonly Manifest[] };
  expect(manifests.map(({ platform }) => platform.architecture).toSorted()).toEqual(["amd64", "arm64"]);
  const sizes = await Promise.all(
    manifests.map(async ({ digest, platform }) => {
      const headers = { accept: "application/vnd.docker.distribution.manifest.v2+json" };
      const manifest = await fetch(`${registry.url}/v2/team/app/manifests/${digest}`, { headers });
      const { config } = (await manifest.json()) as { readonly config: { readonly digest: string } };
      const blob = await fetch(`${registry.url}/v2/team/app/blobs/${config.digest}`);
      return [platform.architecture, ((await blob.json()) as { readonly architecture: string }).architecture];
    }),
  );
  for (const [described, own] of sizes) expect(own).toBe(described);
  await image.remove({ force: true });
  expect(await unnamed()).toEqual([]);
  await expect(image.inspect()).rejects.toThrow("No such image");
});

const unnamed = async (): Promise<readonly string[]> =>
  (await engine.docker.listImages({ all: true })).flatMap(({ Id, RepoTags }) =>
    RepoTags?.includes("busybox:latest") === true ? [] : [Id],
  );

test("a platform whose programs cannot run here fails at its RUN: no name is given, and the other's image is not kept", async () => {
  const stages = ["amd64", "arm64"].map((name) => `FROM busybox AS ${name}`);
  const foreign = [
    "FROM --platform=$BUILDPLATFORM busybox AS sh",
    "FROM scratch AS s390x",
    "COPY --from=sh / /",
    "FROM $TARGETARCH",
  ];
  const all = [...stages, ...foreign, `RUN ["/bin/echo", "it runs"]`];
  const outcome = await buildLines(engine, all, {}, { t: "half:1", platform: `${ours},linux/s390x` });
  expect(outcome.text).toContain("it runs");
  expect(outcome.error).toMatch(/s390x/);
  await expect(engine.docker.getImage("half:1").inspect()).rejects.toThrow("No such image");
  expect(await unnamed()).toEqual([]);
});

test("what gives one result only is refused for several", async () => {
  const { error } = await buildLines(engine, lines, files, {
    t: "app:2",
    platform: `${ours},${other}`,
    tscomposeBuild: { cacheFrom: [], cacheTo: [{ text: "type=inline" }] },
  });
  expect(error).toContain(`a build for ${ours}, ${other} gives an image and nothing else`);
});
