/** One image of an OCI layout folder as an archive that the engine loads. The image has no name in it: loading it tags nothing.
 *  Source: OCI image-layout.md. */
import { readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join, resolve } from "node:path";
import { TscomposeError } from "../errors.ts";
import { emptyXattrs } from "../engine/images/tar/entry.ts";
import { encodeHeader, endOfArchive, padding } from "../engine/images/tar/writer.ts";

interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: object;
  readonly annotations?: Readonly<Record<string, string>>;
}

const maxDocument = 4 * 1024 * 1024;
const nameAnnotation = "org.opencontainers.image.ref.name";

function invalid(directory: string, reason: string): TscomposeError {
  return new TscomposeError("build/invalid", `the OCI layout ${directory} ${reason}`, {
    hint: "write oci-layout://FOLDER:TAG or oci-layout://FOLDER@sha256:...",
  });
}

function document(directory: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const full = join(directory, path);
    if (statSync(full).size > maxDocument) throw new Error("it is too large");
    return JSON.parse(readFileSync(full, "utf8")) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw invalid(directory, `cannot be read: ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function blobPath(directory: string, digest: unknown): string {
  if (typeof digest === "string" && /^sha256:[0-9a-f]{64}$/.test(digest)) return `blobs/sha256/${digest.slice(7)}`;
  throw invalid(directory, "names a blob by something that is no sha256 digest");
}

function descriptors(value: unknown): readonly Descriptor[] {
  return Array.isArray(value) ? (value as readonly Descriptor[]) : [];
}

function choose(directory: string, name: string): Descriptor {
  const all = descriptors(document(directory, "index.json")["manifests"]);
  const found =
    name === ""
      ? all
      : all.filter(({ digest, annotations }) => digest === name || annotations?.[nameAnnotation] === name);
  const [only] = found;
  if (only !== undefined && (found.length === 1 || name !== "")) return only;
  const names = all.map(({ annotations, digest }) => annotations?.[nameAnnotation] ?? digest);
  throw invalid(directory, name === "" ? `holds several images: ${names.join(", ")}` : `has no image ${name}`);
}

/** Blobs that the descriptor stands on, itself first. */
function reachable(directory: string, descriptor: Descriptor): readonly string[] {
  const paths = new Set<string>();
  const visit = ({ digest }: Descriptor): void => {
    const path = blobPath(directory, digest);
    if (paths.has(path)) return;
    paths.add(path);
    const content = document(directory, path);
    for (const child of descriptors(content["manifests"])) visit(child);
    const config = content["config"] as Descriptor | undefined;
    for (const leaf of [...(config === undefined ? [] : [config]), ...descriptors(content["layers"])])
      paths.add(blobPath(directory, leaf.digest));
  };
  visit(descriptor);
  return [...paths];
}

/** @throws build/invalid */
export async function* packLayout(given: string, name: string): AsyncGenerator<Buffer, void, void> {
  const directory = resolve(given);
  const { annotations: _annotations, ...descriptor } = choose(directory, name);
  const index = JSON.stringify({ schemaVersion: 2, manifests: [descriptor] });
  yield* member("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  yield* member("index.json", Buffer.from(index));
  for (const path of reachable(directory, descriptor)) {
    const file = await open(join(directory, path), "r");
    try {
      const { size } = await file.stat();
      yield header(path, size);
      let left = size;
      for await (const chunk of file.createReadStream({ end: Math.max(size - 1, 0), autoClose: false })) {
        left -= (chunk as Buffer).length;
        yield chunk as Buffer;
      }
      if (left !== 0) throw invalid(directory, `changes while it is read: ${path}`);
      yield padding(size);
    } finally {
      await file.close();
    }
  }
  yield endOfArchive;
}

function* member(name: string, content: Buffer): Generator<Buffer, void, void> {
  yield header(name, content.length);
  yield content;
  yield padding(content.length);
}

function header(name: string, size: number): Buffer {
  return encodeHeader({
    type: "file",
    name: Buffer.from(name),
    linkName: Buffer.alloc(0),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size,
    mtime: { sec: 0, nsec: 0 },
    device: { major: 0, minor: 0 },
    xattrs: emptyXattrs,
  });
}
