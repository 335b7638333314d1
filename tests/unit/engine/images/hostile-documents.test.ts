/** Documents of registries and archives that were damaged at random: refused or taken, and nothing else happens (security.md I-30). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isTscomposeError } from "../../../../src/errors.ts";
import { parseConfig, parseManifest } from "../../../../src/engine/images/manifest.ts";
import { parseChallenge } from "../../../../src/engine/images/registry/challenge.ts";

/** TSCOMPOSE_FUZZ: cases of each kind. */
const numRuns = Number(process.env["TSCOMPOSE_FUZZ"] ?? 1500);
const digest = `sha256:${"a".repeat(64)}`;
const descriptor = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest, size: 1 };
const documents = [
  {
    schemaVersion: 2,
    config: { ...descriptor, mediaType: "application/vnd.oci.image.config.v1+json" },
    layers: [descriptor],
  },
  {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ ...descriptor, platform: { os: "linux", architecture: "amd64" } }],
  },
  {
    architecture: "amd64",
    os: "linux",
    config: { Env: ["A=b"], Labels: { a: "b" }, ExposedPorts: { "80/tcp": {} } },
    rootfs: { type: "layers", diff_ids: [digest] },
    history: [{ created_by: "x" }],
  },
].map((document) => Buffer.from(JSON.stringify(document)));

const damage = fc.array(
  fc.record({
    at: fc.nat(),
    byte: fc.integer({ min: 0, max: 255 }),
    kind: fc.constantFrom("set", "cut", "double", "insert"),
  }),
  { minLength: 1, maxLength: 5 },
);
type Damage = readonly { readonly at: number; readonly byte: number; readonly kind: string }[];

function damaged(document: Buffer, steps: Damage): Buffer {
  return steps.reduce((bytes, { at, byte, kind }) => {
    const place = bytes.length === 0 ? 0 : at % bytes.length;
    const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
    if (kind === "cut") return before;
    if (kind === "double") return Buffer.concat([before, after, after]);
    return Buffer.concat([before, Buffer.of(byte), kind === "set" ? after.subarray(1) : after]);
  }, document);
}

function takenOrRefused(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(isTscomposeError(error, "image/invalid"), String(error)).toBe(true);
  }
  expect(Object.keys(Object.prototype)).toEqual([]);
}

test("manifests, indexes and configurations with random damage", () => {
  fc.assert(
    fc.property(fc.constantFrom(...documents), damage, (document, steps) => {
      const bytes = damaged(document, steps);
      takenOrRefused(() => parseManifest(bytes, undefined, "m"));
      takenOrRefused(() => parseConfig(bytes, "c"));
    }),
    { numRuns },
  );
});

test("any JSON at all", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      takenOrRefused(() => parseManifest(Buffer.from(text), undefined, "m"));
      takenOrRefused(() => parseConfig(Buffer.from(text), "c"));
    }),
    { numRuns },
  );
});

test.each([
  ["a key of the prototype", '{"schemaVersion":2,"__proto__":{"polluted":1},"layers":[],"config":{}}'],
  ["a hundred thousand brackets", "[".repeat(100_000)],
  ["a hundred thousand nested objects", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
])("%s", (_, text) => {
  takenOrRefused(() => parseManifest(Buffer.from(text), undefined, "m"));
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

test("challenges of any text are read in time that grows with their length", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300, unit: "binary" }), (text) => {
      parseChallenge(text);
      parseChallenge(`Bearer realm="${text}",service=${text}`);
    }),
    { numRuns },
  );
  const startedAt = performance.now();
  parseChallenge(`Bearer ${'a="'.repeat(2700)}`);
  parseChallenge(", ".repeat(4000));
  expect(performance.now() - startedAt).toBeLessThan(2000);
});
