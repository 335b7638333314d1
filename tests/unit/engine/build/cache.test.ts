/** What `cache_from` and `cache_to` ask for, and the document that an exported cache is. */
import { describe, expect, test } from "vitest";
import {
  parseCacheConfig,
  parseInline,
  renderCacheConfig,
  renderInline,
  type AnnotatedDescriptor,
} from "../../../../src/engine/build/cache/cache-config.ts";
import { parseCacheExport, parseCacheImport } from "../../../../src/engine/build/cache/cache-entry.ts";

const folder = { path: "/x", bootId: "b", dev: "1", ino: "2" };
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const descriptor = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: digest("a"), size: 7 };

describe("entries", () => {
  test("an image alone is a cache in its registry", () => {
    expect(parseCacheImport({ text: "app:cache", folder: undefined })).toMatchObject({
      kind: "registry",
      reference: { domain: "docker.io", path: "library/app", tag: "cache" },
    });
    expect(parseCacheExport({ text: "r.example:5000/app", folder: undefined })).toMatchObject({
      kind: "registry",
      reference: { domain: "r.example:5000", path: "app", tag: "latest" },
      mode: "min",
      form: "manifest",
      ignoreError: false,
    });
  });

  test("a folder has a tag or a digest, latest by itself", () => {
    const name = (text: string): unknown => parseCacheImport({ text, folder });
    expect(name("type=local,src=x")).toEqual({ kind: "local", folder, name: "latest" });
    expect(name("type=local,src=x,tag=v1")).toEqual({ kind: "local", folder, name: "v1" });
    expect(name(`type=local,src=x,digest=${digest("b")}`)).toEqual({ kind: "local", folder, name: digest("b") });
    expect(() => parseCacheImport({ text: "type=local,src=x", folder: undefined })).toThrow("does not see the folder");
  });

  test.each([
    ["type=azblob,name=x", "cache type azblob is not supported by this engine"],
    ["type=local,src=x,color=red", "type=local with color=red is not supported"],
    ["type=inline", "type=inline has no place to read from"],
    ["type=registry", "type=registry has no ref"],
    ["ref=x", "names no type"],
    ["type=local,x", "x is no key=value"],
  ])("cache_from %s is refused", (text, message) => {
    expect(() => parseCacheImport({ text, folder })).toThrow(message);
  });

  test.each([
    ["type=inline,mode=max", "type=inline has mode min only"],
    ["type=registry,ref=x,oci-mediatypes=false", "oci-mediatypes=false is not supported"],
    ["type=registry,ref=x,force-compression=true", "force-compression is not supported"],
    ["type=registry,ref=x,image-manifest=perhaps", "image-manifest=perhaps is neither true nor false"],
    ["type=registry,ref=x,compression=estargz", "compression=estargz is not supported"],
  ])("cache_to %s is refused", (text, message) => {
    expect(() => parseCacheExport({ text, folder })).toThrow(message);
  });
});

describe("documents", () => {
  const blob = (letter: string, diffId: unknown): readonly [string, AnnotatedDescriptor] => [
    digest(letter),
    {
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      digest: digest(letter),
      size: 7,
      annotations: { "containerd.io/uncompressed": diffId, "buildkit/createdat": "2026-01-01T00:00:00Z" },
    },
  ];
  const described = new Map([blob("a", digest("b")), blob("7", "sha256:../../x"), blob("8", undefined)]);
  const read = (document: unknown): ReturnType<typeof parseCacheConfig> =>
    parseCacheConfig(Buffer.from(JSON.stringify(document)), described);
  const layers = [
    { descriptor, diffId: digest("b"), createdMs: 1000, parent: -1 },
    { descriptor, diffId: digest("b"), createdMs: 2000, parent: 0 },
  ];
  const records = [
    { key: "d".repeat(64), layer: 0 },
    { key: "e".repeat(64), layer: 1 },
    { key: "f".repeat(64), layer: 1 },
  ];

  test("what is written is read again", () => {
    const offers = records.map(({ key, layer }) => ({ key, layer: layers[layer] }));
    expect(parseCacheConfig(renderCacheConfig(layers, records), described)).toEqual(offers);
    expect(parseInline(renderInline(records), layers)).toEqual(offers);
  });

  test("BuildKit's records are read, those without a result or a diff id are passed over", () => {
    const offers = read({
      layers: [{ blob: digest("a"), parent: -1 }, { blob: digest("8") }],
      records: [
        { digest: digest("1") },
        { digest: digest("2"), inputs: [[{ link: 0 }]], layers: [{ layer: 0, createdAt: "2026-01-01T00:00:01Z" }] },
        { digest: digest("3"), chains: [{ layers: [0] }] },
        { digest: digest("4"), layers: [{ layer: 1 }] },
      ],
    });
    const layer = { descriptor, diffId: digest("b"), parent: -1, createdMs: Date.parse("2026-01-01T00:00:01Z") };
    expect(offers).toEqual([{ key: "2".repeat(64), layer }]);
  });

  test.each([
    [{ layers: [{ blob: digest("9") }] }, "does not have the layer"],
    [{ layers: [{ blob: "../x" }] }, "not a digest"],
    [{ layers: [{ blob: digest("7") }] }, "not a digest"],
    [{ records: [{ digest: digest("1"), layers: [{ layer: 0 }] }] }, "names a layer that is not there"],
    [{ records: [{ digest: digest("1"), layers: [{ layer: -1 }] }] }, "names a layer that is not there"],
    [{ records: [{ digest: "x", layers: [{ layer: 0 }] }] }, "not a digest"],
    [{ records: { length: 1 } }, "no proper list of records"],
    [{ records: [null] }, "a record is not an object"],
    [[], "is not a JSON object"],
  ])("%j is refused", (document, message) => {
    expect(() => read(document)).toThrow(message);
  });
});
