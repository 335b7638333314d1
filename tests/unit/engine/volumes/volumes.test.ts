import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EngineEvent } from "../../../../src/engine/events.ts";
import { Volumes } from "../../../../src/engine/volumes/volumes.ts";
import { resolveMounts, visibleMounts } from "../../../../src/engine/volumes/resolve-mounts.ts";
import { UndoStack } from "../../../../src/host/undo-stack.ts";

let dir: string;
let events: string[];
let warnings: string[];
let users: Map<string, string[]>;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "volumes-"));
  events = [];
  warnings = [];
  users = new Map();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function open(): Volumes {
  return new Volumes({
    dataDir: join(dir, "volumes"),
    usersOf: (name) => users.get(name) ?? [],
    publish: (event: EngineEvent) => void events.push(`${event.action} ${event.id}`),
    log: (_level, message) => void warnings.push(message),
  });
}

const filters = (entries: Record<string, string[]>) => new Map(Object.entries(entries));

describe("volume records", () => {
  test("a volume has Docker's shape and survives the engine", async () => {
    const created = await open().create({ Name: "db", Labels: { a: "1" }, Driver: "local" });
    expect(created).toEqual({
      CreatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      Driver: "local",
      Labels: { a: "1" },
      Mountpoint: join(dir, "volumes/db/_data"),
      Name: "db",
      Options: null,
      Scope: "local",
    });
    expect(await open().inspect("db")).toEqual(created);
    expect(events).toEqual(["create db"]);
  });

  test("creating an existing volume returns it as it is", async () => {
    const volumes = open();
    const first = await volumes.create({ Name: "db", Labels: { a: "1" } });
    expect(await volumes.create({ Name: "db", Labels: { a: "2" } })).toEqual(first);
    expect(events).toEqual(["create db"]);
  });

  test("a volume without a name gets 64 hexadecimal digits and the anonymous label", async () => {
    const { Name, Labels } = await open().create({});
    expect(Name).toMatch(/^[0-9a-f]{64}$/);
    expect(Labels).toEqual({ "com.docker.volume.anonymous": "" });
  });

  test.each([
    ["bad/name", 'create bad/name: "bad/name" includes invalid characters for a local volume name'],
    ["..", "includes invalid characters"],
    ["x", "volume name is too short"],
    ["a".repeat(256), "longer than 255 bytes"],
  ])("the name %s is refused", (name, message) => {
    expect(() => open().ensure({ Name: name })).toThrow(message);
  });

  test.each<[Record<string, string>, string]>([
    [{ type: "tmpfs" }, 'missing required option: "device"'],
    [{ o: "bind", device: "/x" }, 'missing required option: "type"'],
    [{ speed: "high" }, 'invalid option: "speed"'],
    [{ size: "1g" }, "no quota support"],
  ])("driver options %j are refused", (DriverOpts, message) => {
    expect(() => open().ensure({ Name: "vol", DriverOpts })).toThrow(message);
  });

  test("another driver is refused by name", () => {
    expect(() => open().ensure({ Name: "vol", Driver: "nfs" })).toThrow('plugin "nfs" not found');
  });

  test("a record that cannot be read is set aside, its volume and data stay", async () => {
    await open().create({ Name: "db" });
    writeFileSync(join(dir, "volumes/db/_data/precious"), "x");
    writeFileSync(join(dir, "volumes/db/volume.json"), '{"version":1,"na');
    const volumes = open();
    expect((await volumes.list(new Map())).Volumes.map(({ Name }) => Name)).toEqual(["db"]);
    expect(readFileSync(join(dir, "volumes/db/_data/precious"), "utf8")).toBe("x");
    expect(existsSync(join(dir, "volumes/db/volume.json.corrupt"))).toBe(true);
    expect(warnings.join()).toContain("volume db: its record could not be read");
  });
});

describe("removing volumes", () => {
  test("a volume in use is kept, and its users are named", async () => {
    const volumes = open();
    await volumes.create({ Name: "db" });
    users.set("db", ["c1", "c2"]);
    await expect(volumes.remove("db", true)).rejects.toThrow("remove db: volume is in use - [c1, c2]");
  });

  test("removal deletes the data; a missing one is an error unless forced", async () => {
    const volumes = open();
    await volumes.create({ Name: "db" });
    await volumes.remove("db", false);
    expect(existsSync(join(dir, "volumes/db"))).toBe(false);
    await expect(volumes.remove("db", false)).rejects.toThrow("get db: no such volume");
    await volumes.remove("db", true);
    expect(events).toEqual(["create db", "destroy db"]);
  });

  test("prune takes unused anonymous volumes, and named ones only with all=true", async () => {
    const volumes = open();
    const { Name: anonymous } = await volumes.create({});
    await volumes.create({ Name: "named" });
    await volumes.create({ Name: "busy" });
    users.set("busy", ["c1"]);
    writeFileSync(join(dir, "volumes", anonymous, "_data/file"), "12345");
    expect(await volumes.prune(new Map())).toEqual({ VolumesDeleted: [anonymous], SpaceReclaimed: 5 });
    expect((await volumes.prune(filters({ all: ["true"] }))).VolumesDeleted).toEqual(["named"]);
    expect((await volumes.list(new Map())).Volumes.map(({ Name }) => Name)).toEqual(["busy"]);
  });

  test("a prune filter that volumes do not have is refused, and nothing is deleted", async () => {
    const volumes = open();
    await volumes.create({});
    await expect(volumes.prune(filters({ until: ["1h"] }))).rejects.toThrow("invalid filter 'until'");
    expect((await volumes.list(new Map())).Volumes).toHaveLength(1);
  });
});

describe("listing volumes", () => {
  test.each<[Record<string, string[]>, string[]]>([
    [{}, ["app-data", "cache", "db"]],
    [{ name: ["a"] }, ["app-data", "cache"]],
    [{ label: ["tier=back"] }, ["db"]],
    [{ dangling: ["true"] }, ["app-data", "cache"]],
    [{ dangling: ["0"] }, ["db"]],
    [{ driver: ["nfs"] }, []],
  ])("%j", async (conditions, expected) => {
    const volumes = open();
    await volumes.create({ Name: "db", Labels: { tier: "back" } });
    await volumes.create({ Name: "cache" });
    await volumes.create({ Name: "app-data" });
    users.set("db", ["c1"]);
    expect((await volumes.list(filters(conditions))).Volumes.map(({ Name }) => Name)).toEqual(expected);
  });

  test("usage counts bytes and users", async () => {
    const volumes = open();
    await volumes.create({ Name: "db" });
    mkdirSync(join(dir, "volumes/db/_data/sub"));
    writeFileSync(join(dir, "volumes/db/_data/sub/file"), "x".repeat(1000));
    users.set("db", ["c1"]);
    expect((await volumes.usage())[0]?.UsageData).toEqual({ Size: 1000, RefCount: 1 });
  });
});

describe("resolving mounts", () => {
  const noOthers = () => [];

  test("named, anonymous and image volumes are made, and unmade when the create fails later", async () => {
    const volumes = open();
    const undo = new UndoStack();
    await volumes.create({ Name: "old" });
    const hostConfig = { Binds: ["old:/old", "new:/new"], Tmpfs: { "/run": "" } };
    const mounts = resolveMounts({ hostConfig, imageVolumes: ["/data"], mountsOf: noOthers }, { volumes, undo });
    expect(
      mounts.map(({ Type, Destination, Mode, anonymous, copyUp }) => [Type, Destination, Mode, anonymous, copyUp]),
    ).toEqual([
      ["volume", "/old", "z", false, true],
      ["volume", "/new", "z", false, true],
      ["tmpfs", "/run", "", false, false],
      ["volume", "/data", "", true, true],
    ]);
    expect(visibleMounts(mounts, hostConfig).map(({ Destination }) => Destination)).toEqual(["/old", "/new", "/data"]);
    expect(await undo.run()).toEqual([]);
    expect((await volumes.list(new Map())).Volumes.map(({ Name }) => Name)).toEqual(["old"]);
  });

  test("a short bind makes its host directory, a long one refuses a missing one", () => {
    const volumes = open();
    const context = { volumes, undo: new UndoStack() };
    const source = join(dir, "made/by/us");
    const [bind] = resolveMounts(
      { hostConfig: { Binds: [`${source}:/x:ro`] }, imageVolumes: [], mountsOf: noOthers },
      context,
    );
    expect(existsSync(source)).toBe(true);
    expect(bind).toMatchObject({
      Mode: "ro",
      RW: false,
      Propagation: "rprivate",
      options: ["rbind", "rprivate", "rro"],
    });
    const Mounts = [{ Type: "bind" as const, Source: join(dir, "nope"), Target: "/x" }];
    expect(() => resolveMounts({ hostConfig: { Mounts }, imageVolumes: [], mountsOf: noOthers }, context)).toThrow(
      `invalid mount config for type "bind": bind source path does not exist: ${join(dir, "nope")}`,
    );
  });

  test("shared propagation, which could not reach the host, is refused with the remedy", () => {
    const context = { volumes: open(), undo: new UndoStack() };
    const hostConfig = { Binds: [`${dir}:/x:rshared`] };
    expect(() => resolveMounts({ hostConfig, imageVolumes: [], mountsOf: noOthers }, context)).toThrow(
      "rshared is not supported",
    );
  });
});
