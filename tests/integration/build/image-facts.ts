/** An image as two builders can be compared by: its configuration, and every file. */
import { createHash, type Hash } from "node:crypto";
import type { Docker } from "../../../src/client/docker.ts";
import { TarReader } from "../../../src/engine/images/tar/reader.ts";

export interface ImageFacts {
  readonly config: Readonly<Record<string, unknown>>;
  readonly history: readonly string[];
  /** Path -> type, mode, owner, link or digest. */
  readonly files: Readonly<Record<string, string>>;
}

/** What the engine puts over every image: not a part of it. */
const engineFiles = /^(?:\.dockerenv|dev(?:\/.*)?|proc|sys|etc\/(?:hosts|hostname|resolv\.conf|mtab)|etc)$/;

async function filesOf(docker: Docker, image: string): Promise<Readonly<Record<string, string>>> {
  const container = await docker.createContainer({ Image: image, Cmd: ["x"], Entrypoint: ["x"] });
  try {
    const files = new Map<string, string>();
    let current: { readonly path: string; readonly head: string; readonly hash: Hash } | undefined;
    const reader = new TarReader({
      entry: (entry) => {
        const path = entry.name
          .toString("utf8")
          .replace(/^\.?\//, "")
          .replace(/\/$/, "");
        const link =
          entry.linkName.length === 0
            ? ""
            : ` -> ${entry.linkName.toString("utf8").replace(/^\.?\/(?=.)/, entry.type === "hardlink" ? "" : "$&")}`;
        const head = `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid}${link}`;
        current = { path, head, hash: createHash("sha256") };
      },
      data: (chunk) => void current?.hash.update(chunk),
      end: () => {
        if (current === undefined || current.path === "" || engineFiles.test(current.path)) return;
        const isFile = current.head.startsWith("file");
        files.set(current.path, isFile ? `${current.head} ${current.hash.digest("hex").slice(0, 16)}` : current.head);
      },
    });
    for await (const chunk of await container.export()) reader.write(chunk as Buffer);
    return withoutHardLinkOrder(files);
  } finally {
    await container.remove({ force: true, v: true });
  }
}

/** Of several names of one file, which is the file and which are the links depends on the order of the archive. */
function withoutHardLinkOrder(files: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const groups = new Map<string, string[]>();
  for (const [path, text] of files) {
    const match = /^hardlink .* -> (.*)$/.exec(text);
    if (match !== null) groups.set(match[1] ?? "", [...(groups.get(match[1] ?? "") ?? []), path]);
  }
  const out = new Map(files);
  for (const [target, links] of groups) {
    const names = [target, ...links].toSorted();
    for (const name of names) out.set(name, `${files.get(target) ?? "?"} names ${names.length}`);
  }
  return Object.fromEntries([...out].toSorted(([a], [b]) => (a < b ? -1 : 1)));
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
    // The peer answers null for none.
    history: ((history as typeof history | null) ?? []).map(({ CreatedBy }) => CreatedBy),
    files,
  };
}
