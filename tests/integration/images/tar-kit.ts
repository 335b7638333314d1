/** Builds tar archives entry by entry, also such as no honest tool would make. */
import type { TarEntry } from "../../../src/engine/images/tar/entry.ts";
import { encodeHeader, endOfArchive, padding } from "../../../src/engine/images/tar/writer.ts";

export interface EntrySpec extends Partial<Omit<TarEntry, "name" | "linkName" | "xattrs" | "size">> {
  readonly name: string | Uint8Array;
  readonly linkName?: string | Uint8Array;
  readonly content?: string | Uint8Array;
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
}

const bytes = (value: string | Uint8Array): Buffer =>
  typeof value === "string" ? Buffer.from(value) : Buffer.from(value);

export function makeEntry(spec: EntrySpec): Buffer {
  const content = bytes(spec.content ?? "");
  const header = encodeHeader({
    type: "file",
    mode: spec.type === "dir" ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    mtime: { sec: 1_700_000_000, nsec: 0 },
    device: { major: 0, minor: 0 },
    ...spec,
    name: bytes(spec.name),
    linkName: bytes(spec.linkName ?? ""),
    size: content.length,
    xattrs: new Map(Object.entries(spec.xattrs ?? {}).map(([key, value]) => [key, bytes(value)])),
  });
  return Buffer.concat([header, content, padding(content.length)]);
}

export function makeTar(...entries: readonly EntrySpec[]): Buffer {
  return Buffer.concat([...entries.map(makeEntry), endOfArchive]);
}
