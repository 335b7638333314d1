/** Build contexts as archives, and builds of them on an engine. */
import { Readable } from "node:stream";
import { emptyXattrs, type TarEntry } from "../../../src/engine/images/tar/entry.ts";
import { encodeHeader, endOfArchive, padding } from "../../../src/engine/images/tar/writer.ts";
import type { EngineProcess } from "../../support/engine-process.ts";

export type Entry = Partial<Omit<TarEntry, "name" | "linkName">> & {
  readonly link?: string;
  readonly content?: Uint8Array | string;
};

/** Names are bytes, one character each. */
export type Entries = Readonly<Record<string, Entry | string>> | readonly (readonly [string, Entry | string])[];

export function tar(entries: Entries): Buffer {
  const list = Array.isArray(entries)
    ? (entries as readonly (readonly [string, Entry | string])[])
    : Object.entries(entries);
  const parts = list.flatMap(([name, given]) => {
    const { link, content: text, ...rest }: Entry = typeof given === "string" ? { content: given } : given;
    const content = Buffer.from(text ?? "");
    const header = encodeHeader({
      type: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: content.length,
      mtime: { sec: 1_600_000_000, nsec: 0 },
      device: { major: 0, minor: 0 },
      xattrs: emptyXattrs,
      ...rest,
      name: Buffer.from(name, "latin1"),
      linkName: Buffer.from(link ?? "", "latin1"),
    });
    return [header, content, padding(content.length)];
  });
  return Buffer.concat([...parts, endOfArchive]);
}

export interface Outcome {
  readonly text: string;
  readonly id: string | undefined;
  readonly error: string | undefined;
}

export type BuildQuery = NonNullable<Parameters<EngineProcess["docker"]["buildImage"]>[1]>;

export async function buildArchive(engine: EngineProcess, archive: Buffer, query: BuildQuery = {}): Promise<Outcome> {
  let [text, id]: [string, string | undefined] = ["", undefined];
  try {
    const stream = await engine.docker.buildImage(Readable.from([archive]), query);
    for await (const message of engine.docker.modem.progress(stream)) {
      const { stream: line, aux } = message as { readonly stream?: string; readonly aux?: { readonly ID?: string } };
      text += line ?? "";
      id = aux?.ID ?? id;
    }
    return { text, id, error: undefined };
  } catch (error) {
    return { text, id, error: error instanceof Error ? error.message : String(error) };
  }
}

/** A build of these lines and files. */
export async function buildLines(
  engine: EngineProcess,
  lines: readonly string[],
  files: Entries = {},
  query: BuildQuery = {},
): Promise<Outcome> {
  const list = Array.isArray(files) ? (files as readonly (readonly [string, Entry | string])[]) : Object.entries(files);
  return await buildArchive(engine, tar([["Dockerfile", `${lines.join("\n")}\n`], ...list]), query);
}
