/** What `cache_from` and `cache_to` ask for, and the document that an exported cache is. */
import { describe, expect, test } from "vitest";
import {
  parseCacheConfig,
  parseInline,
  renderCacheConfig,
  renderInline,
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
  const layers = [
    { descriptor, diffId: digest("b"), createdMs: 1000, parent: -1 },
    { descriptor, diffId: digest("c"), createdMs: 2000, parent: 0 },
  ];
  const records = [
    { key: "d".repeat(64), layer: 0 },
    { key: "e".repeat(64), layer: 1 },
    { key: "f".repeat(64), layer: 1 },
  ];

  test("what is written is read again", () => {
    const bytes = renderCacheConfig({ layers, records });
    expect(parseCacheConfig(bytes, new Map([[descriptor.digest, descriptor]]))).toEqual({ layers, records });
    expect(parseInline(renderInline(records), layers).records).toEqual(records);
  });

  test("BuildKit's records are read, those without a result are passed over", () => {
    const document = {
      layers: [{ blob: digest("a"), parent: -1, annotations: { mediaType: "x", diffID: digest("b"), size: 7 } }],
      records: [
        { digest: digest("1") },
        { digest: digest("2"), inputs: [[{ link: 0 }]], layers: [{ layer: 0, createdAt: "2026-01-01T00:00:00Z" }] },
        { digest: digest("3"), chains: [{ layers: [0] }] },
      ],
    };
    const read = parseCacheConfig(Buffer.from(JSON.stringify(document)), new Map([[descriptor.digest, descriptor]]));
    expect(read.records).toEqual([{ key: "2".repeat(64), layer: 0 }]);
    expect(read.layers[0]?.descriptor).toEqual(descriptor);
  });

  test.each([
    [{ layers: [{ blob: digest("9"), annotations: { diffID: digest("b") } }] }, "does not have the layer"],
    [{ layers: [{ blob: "../x" }] }, "not a digest"],
    [{ layers: [{ blob: digest("a"), annotations: { diffID: "sha256:../../x" } }] }, "not a digest"],
    [{ records: [{ digest: digest("1"), layers: [{ layer: 0 }] }] }, "names a layer that is not there"],
    [{ records: [{ digest: digest("1"), layers: [{ layer: -1 }] }] }, "names a layer that is not there"],
    [{ records: [{ digest: "x", layers: [{ layer: 0 }] }] }, "not a digest"],
    [{ records: { length: 1 } }, "no proper list of records"],
    [{ records: [null] }, "a record is not an object"],
    [[], "is not a JSON object"],
  ])("%j is refused", (document, message) => {
    const bytes = Buffer.from(JSON.stringify(document));
    expect(() => parseCacheConfig(bytes, new Map([[descriptor.digest, descriptor]]))).toThrow(message);
  });
});
