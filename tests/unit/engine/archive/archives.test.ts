import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Archives } from "../../../../src/engine/archive/archives.ts";
import { findChanges } from "../../../../src/engine/archive/changes.ts";
import { goFileMode } from "../../../../src/engine/archive/file-mode.ts";
import { Container } from "../../../../src/engine/containers/container.ts";
import { containerPaths } from "../../../../src/engine/containers/paths.ts";
import type { ContainerRecord } from "../../../../src/engine/containers/record.ts";
import { ContainerRegistry } from "../../../../src/engine/containers/registry.ts";
import { emptyXattrs, type TarEntry } from "../../../../src/engine/images/tar/entry.ts";
import { TarReader } from "../../../../src/engine/images/tar/reader.ts";
import { encodeHeader, endOfArchive, padding } from "../../../../src/engine/images/tar/writer.ts";
import type { HostConfig } from "../../../../src/engine/types.ts";

let dir: string;
let root: string;
let events: string[];
let open: number;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "archive-"));
  root = join(dir, "root");
  [events, open] = [[], 0];
  mkdirSync(join(root, "etc"), { recursive: true });
  mkdirSync(join(dir, "host"));
  writeFileSync(join(dir, "host/secret"), "secret");
});
afterEach(() => {
  expect(open).toBe(0);
  rmSync(dir, { recursive: true, force: true });
});

/** The files of a container that does not run. */
function archives(hostConfig: HostConfig = {}): Archives {
  const registry = new ContainerRegistry();
  const record = {
    id: "c1",
    name: "c1",
    created: "",
    imageRef: "x",
    config: {},
    hostConfig,
    mounts: [],
    state: { status: "exited" },
  } as unknown as ContainerRecord;
  registry.add(new Container(record, containerPaths({ dataRoot: dir, runRoot: dir }, "c1"), () => undefined));
  const volumes = { acquire: () => Promise.reject(new Error("no volumes")), release: () => Promise.resolve() };
  const rootfs = {
    acquire: () => {
      open++;
      return Promise.resolve(root);
    },
    release: () => void open--,
  };
  return new Archives({
    registry,
    rootfs,
    volumes,
    lowerDirs: () => Promise.resolve([]),
    userNamespaces: { bind: () => Promise.resolve(false) },
    userOf: () => Promise.resolve({ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }),
    publish: (event) => void events.push(event.action),
    log: (_level, message) => expect.fail(message),
  });
}

/** `name` -> content or link target, as the archive has it. */
async function listing(tar: AsyncIterable<Buffer>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  let name = "";
  const reader = new TarReader({
    entry: (entry) => {
      name = entry.name.toString();
      found[name] =
        entry.type === "symlink" || entry.type === "hardlink" ? `${entry.type} ${entry.linkName.toString()}` : "";
    },
    data: (chunk) => void (found[name] += chunk.toString()),
    end: () => undefined,
  });
  for await (const chunk of tar) reader.write(chunk);
  reader.finish();
  return found;
}

function tarOf(
  ...entries: (Partial<Omit<TarEntry, "name" | "linkName">> & { name: string; content?: string; link?: string })[]
): Buffer {
  const parts = entries.map(({ name, content = "", link = "", ...rest }) => {
    const entry: TarEntry = {
      type: "file",
      mode: 0o644,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      mtime: { sec: 1000, nsec: 0 },
      device: { major: 0, minor: 0 },
      xattrs: emptyXattrs,
      ...rest,
      name: Buffer.from(name),
      linkName: Buffer.from(link),
      size: content.length,
    };
    return Buffer.concat([encodeHeader(entry), Buffer.from(content), padding(content.length)]);
  });
  return Buffer.concat([...parts, endOfArchive]);
}

async function* inPieces(data: Buffer, size = 700): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield Promise.resolve(data.subarray(at, at + size));
}

async function put(
  tar: Buffer,
  path = "/",
  options: { noOverwriteDirNonDir?: boolean } = {},
  hostConfig: HostConfig = {},
) {
  const full = { noOverwriteDirNonDir: false, copyUidGid: false, ...options };
  await archives(hostConfig).putArchive("c1", path, inPieces(tar), full);
}

describe("file modes", () => {
  test.each([
    [0o100644n, 0o644],
    [0o040755n, 2147484141],
    [0o041777n, 2148532735],
    [0o120777n, 134218239],
    [0o104755n, 8389101],
    [0o020666n, 69206454],
    [0o060660n, 67109296],
  ])("%i", (mode, go) => {
    expect(goFileMode(mode)).toBe(go);
  });
});

describe("stat of a path", () => {
  test("a file, with its time to the nanosecond", async () => {
    writeFileSync(join(root, "etc/hosts"), "abc");
    utimesSync(join(root, "etc/hosts"), 1000, 1000.5);
    expect(await archives().statPath("c1", "etc/../etc/hosts")).toEqual({
      name: "hosts",
      size: 3,
      mode: 0o644,
      mtime: "1970-01-01T00:16:40.500000000Z",
      linkTarget: "",
    });
  });

  test("a symlink is not followed, its target is told as the container sees it", async () => {
    symlinkSync("/etc", join(root, "abs"));
    symlinkSync("../../../../etc/hosts", join(root, "etc/up"));
    expect((await archives().statPath("c1", "/abs")).linkTarget).toBe("/etc");
    expect((await archives().statPath("c1", "/etc/up")).linkTarget).toBe("/etc/hosts");
    expect((await archives().statPath("c1", "/abs/")).mode).toBeGreaterThan(2 ** 31);
  });

  test.each(["/nope", "/etc/nope/deeper", "/etc/hosts-not-there"])("%s is not found", async (path) => {
    await expect(archives().statPath("c1", path)).rejects.toThrow(`Could not find the file ${path} in container c1`);
  });

  test("a symlink out of the root leads into it", async () => {
    symlinkSync(dir, join(root, "out"));
    await expect(archives().statPath("c1", "/out/host/secret")).rejects.toThrow("Could not find the file");
  });
});

describe("getting files", () => {
  beforeEach(() => {
    writeFileSync(join(root, "etc/hosts"), "abc");
    symlinkSync(join(dir, "host/secret"), join(root, "etc/leak"));
    linkSync(join(root, "etc/hosts"), join(root, "etc/zz-same"));
  });

  test.each([
    ["/etc", { "etc/": "", "etc/hosts": "abc", "etc/zz-same": "hardlink etc/hosts" }],
    ["/etc/", { "etc/": "", "etc/hosts": "abc", "etc/zz-same": "hardlink etc/hosts" }],
    ["/etc/.", { "./": "", "./hosts": "abc", "./zz-same": "hardlink ./hosts" }],
    ["etc/hosts", { hosts: "abc" }],
  ])("%s", async (path, expected) => {
    const { tar } = await archives().getArchive("c1", path);
    const { "etc/leak": leak, "./leak": leak2, ...found } = await listing(tar);
    expect(found).toEqual(expected);
    if (path !== "etc/hosts") expect(leak ?? leak2).toBe(`symlink ${join(dir, "host/secret")}`);
    expect(events).toEqual(["archive-path"]);
  });

  test("export has no prefix", async () => {
    expect(Object.keys(await listing(await archives().export("c1")))).toEqual([
      "etc/",
      "etc/hosts",
      "etc/leak",
      "etc/zz-same",
    ]);
  });

  test("a reader that leaves early frees everything", async () => {
    const { tar } = await archives().getArchive("c1", "/etc");
    for await (const _ of tar) break;
  });

  test("a large file arrives whole", async () => {
    const content = "0123456789".repeat(60_000);
    writeFileSync(join(root, "big"), content);
    expect((await listing((await archives().getArchive("c1", "/big")).tar))["big"]).toBe(content);
  });
});

describe("putting files", () => {
  test("files, directories, links, modes and times; missing directories are made; the time of a directory is the archive's", async () => {
    await put(
      tarOf(
        { name: "a/", type: "dir", mode: 0o750 },
        { name: "a/file", content: "x".repeat(2000), mode: 0o4755 },
        { name: "a/link", type: "symlink", link: "file" },
        { name: "a/same", type: "hardlink", link: "a/file" },
        { name: "/run/secrets/token", content: "t", mode: 0o400 },
      ),
    );
    expect(readFileSync(join(root, "a/file"), "utf8")).toBe("x".repeat(2000));
    expect(statSync(join(root, "a/file"))).toMatchObject({ mode: 0o104755, mtimeMs: 1_000_000, nlink: 2 });
    expect(statSync(join(root, "a"))).toMatchObject({ mode: 0o40750, mtimeMs: 1_000_000 });
    expect(readlinkSync(join(root, "a/link"))).toBe("file");
    expect(readFileSync(join(root, "run/secrets/token"), "utf8")).toBe("t");
    expect(events).toEqual(["extract-to-dir"]);
  });

  test("gzip is unpacked, other compressions are refused by name", async () => {
    await put(gzipSync(tarOf({ name: "f", content: "1" })));
    expect(readFileSync(join(root, "f"), "utf8")).toBe("1");
    await expect(put(Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0))).rejects.toThrow(
      "compressed with zstd are not accepted",
    );
    await expect(put(gzipSync(tarOf({ name: "f" })).subarray(0, 40))).rejects.toThrow("cannot be decompressed");
  });

  test("an existing file is replaced, not written through: its other names keep their content", async () => {
    writeFileSync(join(root, "etc/one"), "old");
    linkSync(join(root, "etc/one"), join(root, "etc/two"));
    await put(tarOf({ name: "one", content: "new" }), "/etc");
    expect([readFileSync(join(root, "etc/one"), "utf8"), readFileSync(join(root, "etc/two"), "utf8")]).toEqual([
      "new",
      "old",
    ]);
  });

  test("a directory and something else do not replace each other when that is not wanted", async () => {
    writeFileSync(join(root, "etc/passwd"), "");
    const strict = { noOverwriteDirNonDir: true };
    await expect(put(tarOf({ name: "passwd/", type: "dir" }), "/etc", strict)).rejects.toThrow(
      'cannot overwrite non-directory "/etc/passwd" with directory "/etc"',
    );
    await expect(put(tarOf({ name: "etc", content: "x" }), "/", strict)).rejects.toThrow(
      'cannot overwrite directory "/etc" with non-directory "/"',
    );
    await put(tarOf({ name: "etc", content: "x" }), "/");
    expect(readFileSync(join(root, "etc"), "utf8")).toBe("x");
  });

  test.each([
    ["/nope", "Could not find the file /nope in container c1"],
    ["/etc/file", "extraction point is not a directory"],
  ])("into %s is refused", async (path, message) => {
    writeFileSync(join(root, "etc/file"), "");
    await expect(put(tarOf({ name: "f" }), path)).rejects.toThrow(message);
  });

  test("a read-only root is respected", async () => {
    await expect(put(tarOf({ name: "f" }), "/", {}, { ReadonlyRootfs: true })).rejects.toThrow(
      "container rootfs is marked read-only",
    );
  });

  test("a broken archive is an error", async () => {
    await expect(put(Buffer.alloc(2048, "x"))).rejects.toThrow("tar archive is broken");
    await expect(put(tarOf({ name: "f", content: "y".repeat(3000) }).subarray(0, 1500))).rejects.toThrow(
      "ends in the middle",
    );
  });
});

describe("hostile archives", () => {
  const untouched = () => expect(readFileSync(join(dir, "host/secret"), "utf8")).toBe("secret");

  test.each([
    ["dots", { name: "../../../host/secret", content: "pwned" }],
    ["an absolute name", { name: "/../../host/secret", content: "pwned" }],
  ])("%s stay within the extraction point", async (_what, entry) => {
    await put(tarOf(entry), "/etc");
    untouched();
    expect(readFileSync(join(root, "etc/host/secret"), "utf8")).toBe("pwned");
  });

  test("a file through a symlink that the archive made itself", async () => {
    const entries = [
      { name: "way", type: "symlink" as const, link: join(dir, "host") },
      { name: "way/secret", content: "pwned" },
    ];
    await expect(put(tarOf(...entries))).rejects.toThrow("ENOENT");
    const up = [
      { name: "up", type: "symlink" as const, link: "../../host" },
      { name: "up/secret", content: "pwned" },
    ];
    await expect(put(tarOf(...up))).rejects.toThrow("ENOENT");
    untouched();
  });

  test("a file in the place of a symlink replaces the symlink", async () => {
    symlinkSync(join(dir, "host/secret"), join(root, "etc/target"));
    await put(tarOf({ name: "target", content: "pwned" }), "/etc");
    untouched();
    expect(lstatSync(join(root, "etc/target")).isFile()).toBe(true);
  });

  test("a hard link to a file of the host is not made", async () => {
    symlinkSync(join(dir, "host/secret"), join(root, "etc/leak"));
    await expect(put(tarOf({ name: "got", type: "hardlink", link: "../../host/secret" }), "/etc")).rejects.toThrow();
    await put(tarOf({ name: "got", type: "hardlink", link: "leak" }), "/etc");
    expect(lstatSync(join(root, "etc/got")).isSymbolicLink()).toBe(true); // the link itself has another name now
    expect(statSync(join(dir, "host/secret")).nlink).toBe(1);
  });

  test("modes and owners do not reach what a symlink points to", async () => {
    chmodSync(join(dir, "host"), 0o700);
    symlinkSync(join(dir, "host"), join(root, "d"));
    await put(tarOf({ name: "d/", type: "dir", mode: 0o777 }));
    expect(statSync(join(dir, "host")).mode & 0o777).toBe(0o700);
  });

  test("a container that keeps absolute symlinks of its own still gets its files", async () => {
    mkdirSync(join(root, "run"));
    mkdirSync(join(root, "var"));
    symlinkSync("/run", join(root, "var/run"));
    await put(tarOf({ name: "var/run/pid", content: "1" }));
    expect(readFileSync(join(root, "run/pid"), "utf8")).toBe("1");
  });
});

describe("changes", () => {
  test("added, modified and untouched; a directory counts only when it changed itself", async () => {
    const [upper, lower] = [join(dir, "upper"), join(dir, "lower")];
    for (const path of [join(upper, "etc/new"), join(lower, "etc"), join(upper, "srv"), join(lower, "srv")])
      mkdirSync(path, { recursive: true });
    writeFileSync(join(lower, "etc/hosts"), "a");
    writeFileSync(join(upper, "etc/hosts"), "b");
    writeFileSync(join(upper, "etc/new/file"), "");
    for (const path of [upper, lower]) utimesSync(join(path, "srv"), 5, 5);
    utimesSync(join(lower, "etc"), 5, 5);
    expect(await findChanges(upper, [lower])).toEqual([
      { Path: "/etc", Kind: 0 },
      { Path: "/etc/hosts", Kind: 0 },
      { Path: "/etc/new", Kind: 1 },
      { Path: "/etc/new/file", Kind: 1 },
    ]);
  });

  test("a symlink in a layer is not gone through", async () => {
    const [upper, lower] = [join(dir, "upper"), join(dir, "lower")];
    mkdirSync(join(upper, "a"), { recursive: true });
    mkdirSync(lower);
    symlinkSync(join(dir, "host"), join(lower, "a"));
    writeFileSync(join(upper, "a/secret"), "");
    expect(await findChanges(upper, [lower])).toEqual([
      { Path: "/a", Kind: 0 },
      { Path: "/a/secret", Kind: 1 },
    ]);
    expect(existsSync(join(dir, "host/secret"))).toBe(true);
  });
});
