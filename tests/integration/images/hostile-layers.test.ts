/** Layers that try to get out, and layers that only look strange. Beside the root lies a canary that must not change.
 *  Numbers are those of the threat table (I-10 to I-19). */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runLayerJob, type LayerResult } from "../../../src/engine/images/layers/layer-job.ts";
import { defaultLimits, type LayerLimits } from "../../../src/engine/images/layers/limits.ts";
import { packDirectory } from "../../../src/engine/images/layers/pack.ts";
import { makeTar, type EntrySpec } from "./tar-kit.ts";

let base: string;
let root: string;
let before: string;

/** Everything about the canary that an escape could change. */
function canary(): string {
  return (
    execFileSync("find", [join(base, "canary"), join(base, "file"), "-printf", "%p %y %m %U %G %T@ %s %n %l\n"], {
      encoding: "utf8",
    }) + readFileSync(join(base, "file"), "utf8")
  );
}
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "layer-"));
  root = join(base, "root");
  mkdirSync(root);
  mkdirSync(join(base, "canary/sub"), { recursive: true });
  writeFileSync(join(base, "canary/sub/secret"), "secret");
  writeFileSync(join(base, "file"), "untouched");
  before = canary();
});
afterEach(() => {
  expect(canary()).toBe(before);
  expect(readdirSync(base).toSorted()).toEqual(["canary", "file", "root"]);
  rmSync(base, { recursive: true });
});

async function unpack(entries: readonly EntrySpec[], limits?: LayerLimits): Promise<LayerResult> {
  return unpackBytes(makeTar(...entries), limits);
}
async function unpackBytes(tar: Buffer, limits: LayerLimits = defaultLimits): Promise<LayerResult> {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < tar.length; at += 700) yield tar.subarray(at, at + 700);
  }
  const job = {
    dir: root,
    source: { kind: "pushed" as const, keepAs: undefined },
    digest: undefined,
    size: undefined,
    diffId: undefined,
    limits,
  };
  return runLayerJob(job, chunks());
}
const read = (path: string): string => readFileSync(join(root, path), "utf8");

describe("names that lead out (I-10)", () => {
  test.each(["../file", "a/../../file", "./././../file", "/../../file", "a/b/../../../canary/sub/secret"])(
    "%s is refused",
    async (name) => {
      await expect(unpack([{ name, content: "x" }])).rejects.toThrow("leads out of the root");
    },
  );

  test("absolute names and dots within are below the root", async () => {
    await unpack([
      { name: "/etc/a", content: "a" },
      { name: "x/../etc/./b", content: "b" },
      { name: `/${"/".repeat(20)}c`, content: "c" },
    ]);
    expect([read("etc/a"), read("etc/b"), read("c")]).toEqual(["a", "b", "c"]);
  });
});

describe("symlinks (I-11)", () => {
  test("a file through a symlink stays below the root, wherever the symlink points", async () => {
    await unpack([
      { name: "abs", type: "symlink", linkName: join(base, "canary") },
      { name: "up", type: "symlink", linkName: "../../../../../../../../canary" },
      { name: "real", type: "dir" },
      { name: "alias", type: "symlink", linkName: "/real" },
      { name: "alias/inside", content: "in" },
    ]);
    expect(read("real/inside")).toBe("in");
    await expect(unpack([{ name: "abs/sub/secret", content: "x" }])).rejects.toThrow();
    await expect(unpack([{ name: "up/sub/secret", content: "x" }])).rejects.toThrow();
  });

  test("a file, directory or time on a symlink replaces the symlink or goes nowhere, never through it", async () => {
    const target = join(base, "file");
    await unpack([
      { name: "l", type: "symlink", linkName: target },
      { name: "l", content: "mine", mode: 0o777, uid: 5 },
      { name: "d", type: "symlink", linkName: join(base, "canary") },
      { name: "d", type: "dir", mode: 0o700, uid: 7, mtime: { sec: 1, nsec: 0 } },
      { name: "d/new", content: "new" },
    ]);
    expect(read("l")).toBe("mine");
    expect(read("d/new")).toBe("new");
    expect(lstatSync(join(root, "d")).isDirectory()).toBe(true);
  });

  test("loops and long chains are errors", async () => {
    await expect(
      unpack([
        { name: "a", type: "symlink", linkName: "b" },
        { name: "b", type: "symlink", linkName: "a" },
        { name: "a/x" },
      ]),
    ).rejects.toThrow("ELOOP");
    const chain: EntrySpec[] = Array.from({ length: 60 }, (_, i) => ({
      name: `c${i}`,
      type: "symlink",
      linkName: `c${i + 1}`,
    }));
    await expect(unpack([...chain, { name: "c60", type: "dir" }, { name: "c0/x" }])).rejects.toThrow("ELOOP");
  });

  test("a directory that becomes a symlink is not remembered as the directory (cache poisoning)", async () => {
    const entries: EntrySpec[] = [
      { name: "cache", type: "dir" },
      { name: "cache/first", content: "1" },
      { name: "cache", type: "symlink", linkName: join(base, "canary") },
      { name: "cache/sub/secret", content: "stolen" },
    ];
    await expect(unpack(entries)).rejects.toThrow();
  });
});

describe("hard links (I-12)", () => {
  test.each([
    ["a file of the host", join("..", "file")],
    ["a directory", "dir"],
    ["something that is not there yet", "later"],
    ["itself", "link"],
    ["the root", "/"],
  ])("to %s is refused", async (_, linkName) => {
    await expect(
      unpack([{ name: "dir", type: "dir" }, { name: "link", type: "hardlink", linkName }, { name: "later" }]),
    ).rejects.toMatchObject({ code: "image/invalid" });
  });

  test("by an absolute name means a name below the root", async () => {
    await expect(unpack([{ name: "link", type: "hardlink", linkName: join(base, "file") }])).rejects.toThrow(
      "not there",
    );
  });

  test("to a symlink links the symlink itself", async () => {
    await unpack([
      { name: "s", type: "symlink", linkName: join(base, "file") },
      { name: "h", type: "hardlink", linkName: "s" },
    ]);
    expect(readlinkSync(join(root, "h"))).toBe(join(base, "file"));
  });

  test("within the root two names are one file, and the last of a name wins", async () => {
    await unpack([
      { name: "a", content: "one" },
      { name: "b", content: "two" },
      { name: "b", type: "hardlink", linkName: "./a" },
      { name: "b", type: "hardlink", linkName: "a" },
    ]);
    expect(statSync(join(root, "a")).ino).toBe(statSync(join(root, "b")).ino);
  });
});

describe("whiteouts (I-13)", () => {
  const isWhiteout = (path: string): boolean =>
    lstatSync(join(root, path)).isCharacterDevice() && lstatSync(join(root, path)).rdev === 0;
  const isOpaque = (path: string): boolean =>
    execFileSync(
      "sh",
      ["-c", 'getfattr -h --only-values -n trusted.overlay.opaque "$1" 2>/dev/null || true', "sh", join(root, path)],
      { encoding: "utf8" },
    ) === "y";

  test("a removed name becomes a device 0:0, an opaque directory gets the attribute", async () => {
    await unpack([{ name: "etc/.wh.gone" }, { name: "dir", type: "dir" }, { name: "dir/.wh..wh..opq" }]);
    expect(isWhiteout("etc/gone")).toBe(true);
    expect(packed()).toEqual(["dir/", "dir/.wh..wh..opq", "etc/", "etc/.wh.gone"]);
  });

  test("bookkeeping of aufs is ignored, whiteouts of nothing are refused", async () => {
    await unpack([{ name: ".wh..wh.plnk", type: "dir" }, { name: ".wh..wh.aufs" }]);
    expect(readdirSync(root)).toEqual([]);
    for (const name of [".wh.", "a/.wh..", "a/.wh..."])
      await expect(unpack([{ name }])).rejects.toThrow("whiteout of nothing");
  });

  test("speak of the layers below only: what the same layer has stays, in either order", async () => {
    await unpack([
      { name: "a", content: "a" },
      { name: ".wh.a" },
      { name: ".wh.b" },
      { name: "b", content: "b" },
      { name: ".wh.d" },
      { name: "d", type: "dir" },
      { name: "d/x", content: "x" },
    ]);
    expect([read("a"), read("b"), read("d/x")]).toEqual(["a", "b", "x"]);
    expect(packed()).toContain("d/.wh..wh..opq");
  });

  test("through a symlink they stay below the root", async () => {
    await unpack([
      { name: "d", type: "symlink", linkName: "/../../canary" },
      { name: "canary", type: "dir" },
      { name: "d/.wh.sub" },
      { name: "d/.wh..wh..opq" },
    ]);
    expect(isWhiteout("canary/sub")).toBe(true);
    expect(isOpaque("canary") || packed().includes("canary/.wh..wh..opq")).toBe(true);
  });
});

describe("what a layer may not bring along (I-16, I-17)", () => {
  test("a device 0:0 is refused", async () => {
    await expect(unpack([{ name: "x", type: "char" }])).rejects.toThrow("device 0:0");
  });

  test("attributes of overlayfs are dropped, file capabilities and user attributes stay", async () => {
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    await unpack([
      {
        name: "f",
        content: "x",
        xattrs: {
          "trusted.overlay.redirect": "/etc",
          "trusted.overlay.metacopy": "",
          "user.a": "b",
          "security.capability": capability,
        },
      },
      { name: "d", type: "dir", xattrs: { "trusted.overlay.opaque": "y" } },
    ]);
    const tar = Buffer.concat([...packDirectory(root)].map((chunk) => Buffer.from(chunk))).toString("latin1");
    expect(tar).toContain("SCHILY.xattr.user.a=b");
    expect(tar).toContain("SCHILY.xattr.security.capability=");
    expect(tar).not.toContain("overlay");
    expect(packed()).toEqual(["d/", "f"]);
  });

  test("devices, pipes and set-uid programs are data of the layer", async () => {
    await unpack([
      { name: "null", type: "char", mode: 0o666, device: { major: 1, minor: 3 } },
      { name: "pipe", type: "fifo", mode: 0o600 },
      { name: "su", content: "x", mode: 0o4755, uid: 10, gid: 20 },
    ]);
    expect(
      execFileSync("find", [root, "-mindepth", "1", "-printf", "%P %y %m %U:%G\n"], { encoding: "utf8" })
        .split("\n")
        .toSorted(),
    ).toEqual(["", "null c 666 0:0", "pipe p 600 0:0", "su f 4755 10:20"]);
  });
});

describe("entries of one name (I-14) and strange names (I-15)", () => {
  test("the last wins, whatever the types", async () => {
    await unpack([
      { name: "x", type: "dir", mode: 0o700 },
      { name: "x/deep/er", content: "1" },
      { name: "x", type: "symlink", linkName: "y" },
      { name: "x", content: "file", mode: 0o600 },
      { name: "x", type: "dir", mode: 0o711 },
      { name: "x", type: "dir", mode: 0o750 },
    ]);
    expect(readdirSync(join(root, "x"))).toEqual([]);
    expect(statSync(join(root, "x")).mode & 0o7777).toBe(0o750);
  });

  test("names are bytes", async () => {
    const names = [
      Buffer.from([0x66, 0xff, 0xfe]),
      Buffer.from("caf\u00e9"),
      Buffer.from("cafe\u0301"),
      Buffer.from("new\nline"),
      Buffer.from("A"),
      Buffer.from("a"),
      Buffer.alloc(255, "n"),
    ];
    await unpack(names.map((name) => ({ name, content: "x" })));
    expect(readdirSync(root, { encoding: "buffer" }).toSorted((a, b) => a.compare(b))).toEqual(
      names.toSorted((a, b) => a.compare(b)),
    );
  });

  test("a NUL, a component of 256 bytes and a path of more than 4096 are refused", async () => {
    await expect(unpack([{ name: Buffer.alloc(256, "n") }])).rejects.toMatchObject({ code: "image/invalid" });
    await expect(unpack([{ name: "d/".repeat(2100) + "f" }])).rejects.toThrow("longer than 4096 bytes");
  });
});

describe("what is written", () => {
  test("times to the nanosecond, also of directories that were filled afterwards", async () => {
    await unpack([
      { name: "d", type: "dir", mtime: { sec: 1_000_000_000, nsec: 123_456_789 } },
      { name: "d/f", content: "x", mtime: { sec: 1_100_000_000, nsec: 1 } },
      { name: "d/l", type: "symlink", linkName: "f", mtime: { sec: -1, nsec: 500_000_000 } },
      { name: ".", type: "dir", mode: 0o755, mtime: { sec: 5, nsec: 6 } },
    ]);
    const time = (path: string): bigint => lstatSync(join(root, path), { bigint: true }).mtimeNs;
    expect([time("d"), time("d/f"), time("d/l"), time(".")]).toEqual([
      1_000_000_000_123_456_789n,
      1_100_000_000_000_000_001n,
      -500_000_000n,
      5_000_000_006n,
    ]);
  });

  test("a parent without an entry is made, and reported as implied", async () => {
    const { impliedDirs } = await unpack([
      { name: "a/b/c", content: "x" },
      { name: "a", type: "dir", mode: 0o700 },
    ]);
    expect(impliedDirs).toEqual(["a/b"]);
    expect(statSync(join(root, "a/b")).mode & 0o7777).toBe(0o755);
  });

  test("GNU tar reads what we pack as the same tree", async () => {
    await unpack([
      { name: `${"long/".repeat(40)}name`, content: "x", uid: 3_000_000 },
      { name: "h", type: "hardlink", linkName: `${"long/".repeat(40)}name` },
      { name: "s", type: "symlink", linkName: "t".repeat(300) },
    ]);
    const copy = mkdtempSync(join(tmpdir(), "copy-"));
    try {
      execFileSync("tar", ["-C", copy, "--numeric-owner", "-xpf", "-"], {
        input: Buffer.concat([...packDirectory(root)].map((chunk) => Buffer.from(chunk))),
      });
      const list = (dir: string): string[] =>
        execFileSync("find", [dir, "-mindepth", "1", "-printf", "%P %y %m %U %n %l %Ts\n"], { encoding: "utf8" })
          .split("\n")
          .toSorted();
      const withoutRoot = (lines: string[]): string[] => lines.filter((line) => !/ d /.test(line));
      expect(withoutRoot(list(copy))).toEqual(withoutRoot(list(root)));
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});

describe("limits (I-18, I-19)", () => {
  test("a gzip bomb, too many bytes and too many entries are stopped", async () => {
    const zeros = gzipSync(makeTar({ name: "z", content: Buffer.alloc(8 << 20) }));
    await expect(unpackBytes(zeros, { ...defaultLimits, ratioFloorBytes: 1 << 20 })).rejects.toThrow(
      "unpacks to more than is accepted",
    );
    await expect(unpackBytes(zeros, { ...defaultLimits, maxBytes: 1 << 20 })).rejects.toThrow(
      "unpacks to more than is accepted",
    );
    const many = Array.from({ length: 11 }, (_, i) => ({ name: `f${i}` }));
    await expect(unpack(many, { ...defaultLimits, maxEntries: 10 })).rejects.toThrow("more than 10 entries");
  });

  test("I-18, I-24 sparse files, wrong checksums, cut archives and negative sizes are refused", async () => {
    const good = makeTar({ name: "a", content: "x".repeat(600) });
    const sparse = Buffer.from(good);
    sparse.write("S", 156, "latin1");
    fixChecksum(sparse);
    await expect(unpackBytes(sparse)).rejects.toThrow("sparse");
    const damaged = Buffer.from(good);
    damaged.writeUInt8(damaged.readUInt8(0) ^ 1, 0);
    await expect(unpackBytes(damaged)).rejects.toThrow("checksum");
    await expect(unpackBytes(good.subarray(0, 700))).rejects.toThrow("middle of an entry");
    const negative = Buffer.from(good);
    negative.fill(0xff, 124, 136);
    fixChecksum(negative);
    await expect(unpackBytes(negative)).rejects.toThrow("negative size");
    await expect(unpackBytes(gzipSync(good).subarray(0, 60))).rejects.toThrow("gzip stream is broken");
  });

  test("what follows the end of the archive is hashed but not looked at (I-20)", async () => {
    const { diffId } = await unpackBytes(Buffer.concat([makeTar({ name: "a" }), makeTar({ name: "b" })]));
    expect(diffId).toMatch(/^sha256:/);
    expect([existsSync(join(root, "a")), existsSync(join(root, "b"))]).toEqual([true, false]);
  });
});

function fixChecksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** Names in the tar that the root packs into. */
function packed(): string[] {
  const tar = Buffer.concat([...packDirectory(root)].map((chunk) => Buffer.from(chunk)));
  return execFileSync("tar", ["-tf", "-"], { input: tar, encoding: "utf8" }).split("\n").filter(Boolean);
}
