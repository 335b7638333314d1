import { describe, expect, test } from "vitest";
import { assertImageLayers, parseConfig, parseManifest } from "../../../../src/engine/images/manifest.ts";

const digest = `sha256:${"a".repeat(64)}`;
const descriptor = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest, size: 1 };
const manifest = {
  schemaVersion: 2,
  config: { ...descriptor, mediaType: "application/vnd.oci.image.config.v1+json" },
  layers: [descriptor],
};
const index = {
  schemaVersion: 2,
  manifests: [{ ...descriptor, mediaType: "application/vnd.oci.image.manifest.v1+json" }],
};
const ociManifest = "application/vnd.oci.image.manifest.v1+json";
const parse = (value: unknown, type?: string): unknown =>
  parseManifest(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)), type, "m");

test("a manifest and an index are told apart by what they hold", () => {
  expect(parse(manifest)).toMatchObject({ kind: "manifest", layers: [descriptor] });
  expect(parse(index)).toMatchObject({ kind: "index", entries: [{ digest }] });
  expect(parse(manifest, "application/vnd.docker.distribution.manifest.v2+json")).toMatchObject({ kind: "manifest" });
});

describe("what is refused", () => {
  test.each([
    ["layers and manifests at once", { ...manifest, ...index }, undefined],
    [
      "its own media type against the transport's",
      { ...manifest, mediaType: ociManifest },
      "application/vnd.oci.image.index.v1+json",
    ],
    ["an index under a manifest's type", index, ociManifest],
    ["schema version 1", { ...manifest, schemaVersion: 1 }, undefined],
    ["an unknown media type", manifest, "text/html"],
    ["a digest with a path in it", { ...manifest, layers: [{ ...descriptor, digest: "sha256:../../x" }] }, undefined],
    [
      "an upper-case digest",
      { ...manifest, layers: [{ ...descriptor, digest: `sha256:${"A".repeat(64)}` }] },
      undefined,
    ],
    ["a weak algorithm", { ...manifest, layers: [{ ...descriptor, digest: `md5:${"a".repeat(32)}` }] }, undefined],
    ["a negative size", { ...manifest, layers: [{ ...descriptor, size: -1 }] }, undefined],
    ["too many entries", { schemaVersion: 2, manifests: Array.from({ length: 4097 }, () => descriptor) }, undefined],
    ["too many layers", { ...manifest, layers: Array.from({ length: 501 }, () => descriptor) }, undefined],
    ["no JSON", "{", undefined],
    ["a list", "[]", undefined],
    ["a prototype key", '{"schemaVersion":2,"__proto__":{"x":1},"config":{},"layers":[]}', undefined],
    ["deep nesting", "[".repeat(100_000), undefined],
    ["more than 4 MiB", " ".repeat(4 * 1024 * 1024 + 1), undefined],
  ])("%s", (_, value, type) => {
    expect(() => parse(value, type)).toThrow();
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test("an artifact that is no image", () => {
    const parsed = parseManifest(
      Buffer.from(JSON.stringify({ ...manifest, layers: [{ ...descriptor, mediaType: "application/x-helm" }] })),
      undefined,
      "m",
    );
    expect(() => parsed.kind === "manifest" && assertImageLayers(parsed, "helm chart")).toThrow(
      "helm chart is not a container image",
    );
  });
});

describe("configurations", () => {
  const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest] } };
  const read = (value: unknown): unknown => parseConfig(Buffer.from(JSON.stringify(value)), "c");

  test("are taken with what we do not know in them", () => {
    expect(read({ ...config, moby: { x: 1 }, config: { Env: ["A=b"], Labels: null } })).toMatchObject({
      moby: { x: 1 },
      config: { Env: ["A=b"] },
    });
  });

  test.each([
    ["no rootfs", { ...config, rootfs: undefined }],
    ["a diff id that is none", { ...config, rootfs: { type: "layers", diff_ids: ["x"] } }],
    ["a command that is text", { ...config, config: { Cmd: "sh" } }],
    ["a label that is a number", { ...config, config: { Labels: { a: 1 } } }],
    ["a user that is a number", { ...config, config: { User: 0 } }],
  ])("with %s are refused", (_, value) => expect(() => read(value)).toThrow());
});
