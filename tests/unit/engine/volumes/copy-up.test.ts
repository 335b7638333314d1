import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  chmodSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Volumes } from "../../../../src/engine/volumes/volumes.ts";
import { checkMountTargets } from "../../../../src/engine/volumes/mount-paths.ts";

let dir: string;
let root: string;
let volumes: Volumes;
const data = () => join(dir, "volumes/data/_data");
const use = { containerId: "c1", destination: "/data", readWrite: true, propagation: "" };

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "copy-up-"));
  root = join(dir, "rootfs");
  mkdirSync(join(root, "data/sub"), { recursive: true });
  mkdirSync(join(dir, "host"));
  writeFileSync(join(dir, "host/secret"), "secret");
  volumes = new Volumes({
    dataDir: join(dir, "volumes"),
    usersOf: () => [],
    publish: () => undefined,
    log: () => undefined,
  });
  volumes.ensure({ Name: "data" });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("copy-up of image content", () => {
  test("files, directories, links, modes and times arrive in the empty volume", async () => {
    writeFileSync(join(root, "data/file"), "content");
    chmodSync(join(root, "data/file"), 0o640);
    utimesSync(join(root, "data/file"), 1000, 1000);
    writeFileSync(join(root, "data/sub/big"), Buffer.alloc(200_000, 7));
    symlinkSync("sub/big", join(root, "data/link"));
    chmodSync(join(root, "data"), 0o1777);
    await volumes.acquire("data", use);
    await volumes.copyUp("data", { rootfs: root, map: undefined }, "/data");
    expect(readFileSync(join(data(), "file"), "utf8")).toBe("content");
    expect(statSync(join(data(), "file"))).toMatchObject({ mode: 0o100640, mtimeMs: 1_000_000 });
    expect(readFileSync(join(data(), "sub/big"))).toHaveLength(200_000);
    expect(readlinkSync(join(data(), "link"))).toBe("sub/big");
    expect(statSync(data()).mode & 0o7777).toBe(0o1777);
    expect(readdirSync(join(dir, "volumes/data")).sort()).toEqual(["_data", "volume.json"]);
  });

  test("a volume that has content is left alone", async () => {
    writeFileSync(join(data(), "mine"), "");
    writeFileSync(join(root, "data/theirs"), "");
    await volumes.copyUp("data", { rootfs: root, map: undefined }, "/data");
    expect(readdirSync(data())).toEqual(["mine"]);
  });

  test("an image that has nothing there leaves the volume empty", async () => {
    await volumes.copyUp("data", { rootfs: root, map: undefined }, "/nowhere/at/all");
    expect(readdirSync(data())).toEqual([]);
  });

  test.each([
    ["absolute", (host: string) => host],
    ["relative", () => "../host"],
  ])("a destination that is an %s symlink to the host is resolved within the image", async (_kind, target) => {
    symlinkSync(target(join(dir, "host")), join(root, "escape"));
    await volumes.copyUp("data", { rootfs: root, map: undefined }, "/escape");
    expect(readdirSync(data())).toEqual([]);
  });

  test("a symlink to a file of the host is copied as a symlink, not as what it points to", async () => {
    symlinkSync(join(dir, "host/secret"), join(root, "data/leak"));
    symlinkSync(join(dir, "host"), join(root, "data/leakdir"));
    await volumes.copyUp("data", { rootfs: root, map: undefined }, "/data");
    expect(readlinkSync(join(data(), "leak"))).toBe(join(dir, "host/secret"));
    expect(readlinkSync(join(data(), "leakdir"))).toBe(join(dir, "host"));
  });

  test("names that are not text are copied byte for byte", async () => {
    const name = Buffer.concat([Buffer.from(join(root, "data/")), Buffer.of(0xff, 0x0a, 0x20)]);
    writeFileSync(name, "x");
    await volumes.copyUp("data", { rootfs: root, map: undefined }, "/data");
    expect(readdirSync(data(), { encoding: "buffer" }).map((entry) => entry.toString("hex"))).toContain("ff0a20");
  });
});

describe("mount destinations", () => {
  const mount = (Destination: string) => ({
    Type: "volume" as const,
    Source: "/v",
    Destination,
    Mode: "",
    RW: true,
    Propagation: "",
    anonymous: false,
    copyUp: true,
    options: [],
  });

  test.each([
    ["/app", "/proc"],
    ["/app", "../../proc"],
    ["/app/x", "/proc/sys"],
  ])("%s is refused where the image turned /app into a symlink to %s", (destination, link) => {
    mkdirSync(join(root, "proc/sys"), { recursive: true });
    symlinkSync(link, join(root, "app"));
    expect(() => checkMountTargets(root, [mount(destination)], false)).toThrow(
      /leads the mount destination .* to \/proc/,
    );
  });

  test("an ordinary symlink within the image is fine", () => {
    mkdirSync(join(root, "run"));
    mkdirSync(join(root, "var"));
    symlinkSync("/run", join(root, "var/run"));
    checkMountTargets(root, [mount("/var/run/app"), mount("/not/there/yet")], false);
  });
});
