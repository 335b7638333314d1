/** An image as two builders can be compared by: its configuration, and every file as the layers say. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { Docker } from "../../../src/client/docker.ts";
import type { TarEntry } from "../../../src/engine/images/tar/entry.ts";
import { TarReader } from "../../../src/engine/images/tar/reader.ts";

export interface ImageFacts {
  readonly config: Readonly<Record<string, unknown>>;
  readonly author: string;
  readonly platform: string;
  readonly history: readonly string[];
  /** Path -> type, mode, owner, link or digest, extended attributes, and the time where it is not that of the build. */
  readonly files: Readonly<Record<string, string>>;
}

interface Entry {
  readonly head: TarEntry;
  readonly content: Buffer;
}

function entriesOf(archive: Buffer): readonly Entry[] {
  const entries: Entry[] = [];
  let current: { readonly head: TarEntry; readonly chunks: Buffer[] } | undefined;
  const reader = new TarReader({
    entry: (head) => (current = { head, chunks: [] }),
    data: (chunk) => void current?.chunks.push(Buffer.from(chunk)),
    end: () => {
      if (current !== undefined) entries.push({ head: current.head, content: Buffer.concat(current.chunks) });
    },
  });
  reader.write(archive);
  reader.finish();
  return entries;
}

function unpacked(layer: Buffer): Buffer {
  if (layer[0] === 0x1f && layer[1] === 0x8b) return gunzipSync(layer);
  return layer;
}

function pathOf(name: Buffer): string {
  return name
    .toString("latin1")
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/** Times after this are those of the build. */
const longAgo = 1_700_000_000;

interface File {
  readonly text: string;
  readonly names: Set<string>;
}

function describeEntry({ head, content }: Entry): string {
  const { type, mode, uid, gid, mtime, linkName, device, xattrs } = head;
  const time = mtime.sec < longAgo ? ` @${mtime.sec}` : "";
  const attributes = [...xattrs]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ` ${name}=${value.toString("hex")}`);
  const what =
    type === "file"
      ? ` ${createHash("sha256").update(content).digest("hex").slice(0, 16)}`
      : type === "symlink"
        ? ` -> ${linkName.toString("latin1")}`
        : type === "char" || type === "block"
          ? ` ${device.major}:${device.minor}`
          : "";
  return `${type} ${mode.toString(8)} ${uid}:${gid}${what}${time}${attributes.join("")}`;
}

/** Puts a layer over the files so far. Source: OCI image specification, layers. */
function applyLayer(files: Map<string, File>, layer: Buffer): void {
  const removeBelow = (path: string): void => {
    for (const name of files.keys()) if (name.startsWith(path === "" ? "" : `${path}/`)) files.delete(name);
  };
  const entries = entriesOf(layer).map((entry) => ({ ...entry, path: pathOf(entry.head.name) }));
  for (const { path } of entries) {
    const [, parent = "", name = ""] = /^(?:(.*)\/)?([^/]*)$/.exec(path) ?? [];
    if (!name.startsWith(".wh.")) continue;
    if (name === ".wh..wh..opq") {
      removeBelow(parent);
      continue;
    }
    const gone = `${parent === "" ? "" : `${parent}/`}${name.slice(4)}`;
    files.delete(gone);
    removeBelow(gone);
  }
  for (const entry of entries) {
    if (entry.path === "" || /(?:^|\/)\.wh\./.test(entry.path)) continue;
    const target = entry.head.type === "hardlink" ? files.get(pathOf(entry.head.linkName)) : undefined;
    if (entry.head.type !== "dir") removeBelow(entry.path);
    files.get(entry.path)?.names.delete(entry.path);
    const file = target ?? { text: describeEntry(entry), names: new Set<string>() };
    file.names.add(entry.path);
    files.set(entry.path, file);
  }
}

async function filesOf(docker: Docker, image: string): Promise<Readonly<Record<string, string>>> {
  const chunks: Buffer[] = [];
  for await (const chunk of await docker.getImage(image).get()) chunks.push(chunk as Buffer);
  const parts = new Map(entriesOf(Buffer.concat(chunks)).map((entry) => [pathOf(entry.head.name), entry.content]));
  const [manifest] = JSON.parse(parts.get("manifest.json")?.toString() ?? "[]") as readonly {
    readonly Layers: readonly string[] | null;
  }[];
  const files = new Map<string, File>();
  for (const name of manifest?.Layers ?? []) {
    const layer = parts.get(name);
    if (layer === undefined) throw new Error(`no layer ${name} in the archive of ${image}`);
    applyLayer(files, unpacked(layer));
  }
  const lines = [...files].map(([path, { text, names }]): readonly [string, string] => [
    path,
    names.size > 1 ? `${text} (${names.size} names)` : text,
  ]);
  return Object.fromEntries(lines.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Keys that builders set. Empty values and absent ones are the same. */
const configKeys = [
  "Env",
  "Cmd",
  "Entrypoint",
  "WorkingDir",
  "User",
  "Labels",
  "ExposedPorts",
  "Volumes",
  "StopSignal",
  "Shell",
  "Healthcheck",
  "OnBuild",
] as const;

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== 0);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export async function imageFacts(docker: Docker, image: string): Promise<ImageFacts> {
  const handle = docker.getImage(image);
  const [inspect, history, files] = await Promise.all([handle.inspect(), handle.history(), filesOf(docker, image)]);
  const config: Readonly<Record<string, unknown>> = { ...inspect.Config };
  return {
    config: Object.fromEntries(
      configKeys.flatMap((key) => (isEmpty(config[key]) ? [] : [[key, sorted(config[key])] as const])),
    ),
    author: inspect.Author ?? "",
    platform: [inspect.Os, inspect.Architecture, inspect.Variant ?? ""].join("/"),
    // The peer answers null for none.
    history: ((history as typeof history | null) ?? []).map(({ CreatedBy }) => CreatedBy),
    files,
  };
}
