import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";
import { execIn, fileIn, namesIn, tarOf } from "./engine-exec.ts";

let engine: EngineProcess;
let host: string;
beforeAll(async () => {
  engine = await EngineProcess.start();
  host = mkdtempSync(join(tmpdir(), "canary-"));
  writeFileSync(join(host, "secret"), "secret");
});
afterAll(async () => {
  try {
    expect(readdirSync(host)).toEqual(["secret"]);
    expect(readFileSync(join(host, "secret"), "utf8")).toBe("secret");
    expect(await engine.leaks()).toEqual([]);
  } finally {
    rmSync(host, { recursive: true, force: true });
    await engine.dispose();
  }
});

describe("copying files", () => {
  test("into a container that was only created: found there when it runs", async () => {
    const id = await engine.create(["cat", "/run/secrets/token", "/data/seed"], { Binds: ["cp-volume:/data"] });
    const container = engine.docker.getContainer(id);
    await container.putArchive(tarOf({ "run/secrets/token": "t0ken\n", "data/seed": "seed\n" }), { path: "/" });
    await container.start();
    await container.wait();
    expect((await container.logs({ stdout: true })).toString("latin1")).toMatch(/t0ken\n.*seed\n/s);
    expect((await container.infoArchive({ path: "/data/seed" })).size).toBe(5);
    expect(fileIn(await buffer(await container.getArchive({ path: "/data" })), "data/seed")).toBe("seed\n");
    await container.remove({ v: true });
    await engine.docker.getVolume("cp-volume").remove();
  });

  test("in and out of a running one, mounts included, the kernel's file systems left out", async () => {
    const id = await engine.run(["sleep", "1000"], { Tmpfs: { "/scratch": "" }, Binds: ["cp-live:/data"] });
    const container = engine.docker.getContainer(id);
    await container.putArchive(tarOf({ "in/tmpfs": "1" }), { path: "/scratch" });
    await container.putArchive(tarOf({ "in/volume": "2" }), { path: "/data" });
    expect((await execIn(engine, id, "cat", "/scratch/in/tmpfs", "/data/in/volume")).out).toBe("12");
    const names = namesIn(await buffer(await container.getArchive({ path: "/" })));
    expect(names).toContain("/data/in/volume");
    expect(names.filter((name) => /^\/(proc|sys)\//.test(name))).toEqual(["/proc/", "/sys/"]);
    const exported = namesIn(await buffer(await container.export()));
    expect(exported).toContain("bin/busybox");
    expect(exported).not.toContain("data/in/volume");
    await container.remove({ force: true });
    await engine.docker.getVolume("cp-live").remove();
  });

  test("read-only places are refused", async () => {
    const id = await engine.create(["true"], { ReadonlyRootfs: true, Binds: [`${host}:/ro:ro`] });
    const container = engine.docker.getContainer(id);
    await expect(container.putArchive(tarOf({ f: "1" }), { path: "/" })).rejects.toThrow(
      "container rootfs is marked read-only",
    );
    await expect(container.putArchive(tarOf({ f: "1" }), { path: "/ro" })).rejects.toThrow(
      "mounted volume is marked read-only",
    );
  });

  test("changes tell what was added, modified and deleted, and none of the engine's own files", async () => {
    const id = await engine.run(["sh", "-c", "echo x > /new; rm /etc/group; echo y >> /etc/passwd"]);
    const container = engine.docker.getContainer(id);
    await container.wait();
    const changes = (await container.changes()) ?? [];
    expect(changes.map(({ Kind, Path }) => `${"CAD"[Kind]} ${Path}`).filter((line) => !line.endsWith(" /etc"))).toEqual(
      ["D /etc/group", "C /etc/passwd", "A /new"],
    );
  });
});

describe("a container that swaps symlinks while files are copied", () => {
  test("gains nothing of the host and changes nothing there", async () => {
    const race = `mkdir -p /swap/real; while :; do
      mv /swap/real /swap/kept; ln -s ${host} /swap/real; rm /swap/real; mv /swap/kept /swap/real
      done`;
    const id = await engine.run(["sh", "-c", race]);
    const container = engine.docker.getContainer(id);
    const archive = tarOf({ secret: "pwned", "more/secret": "pwned" });
    let [put, refused] = [0, 0];
    for (let i = 0; i < 300; i++) {
      try {
        await container.putArchive(archive, { path: "/swap/real" });
        put++;
      } catch {
        refused++; // it was a symlink to nowhere at that moment
      }
      const got = await container
        .getArchive({ path: "/swap/real/secret" })
        .then(async (tar) => fileIn(await buffer(tar), "secret"))
        .catch(() => "");
      expect(["", "pwned"]).toContain(got);
    }
    expect(put + refused).toBe(300);
    expect(put).toBeGreaterThan(0);
    expect(readFileSync(join(host, "secret"), "utf8")).toBe("secret");
    await container.remove({ force: true });
  });
});

describe("volumes", () => {
  test("a new named volume gets what the image has there, an old one keeps what it has", async () => {
    const Binds = ["copied:/etc"];
    expect((await engine.finish(["sh", "-c", "cat /etc/passwd; echo mine > /etc/group"], { Binds })).out).toContain(
      "app:x:1000",
    );
    expect((await engine.finish(["cat", "/etc/group"], { Binds })).out).toBe("mine\n");
    await engine.docker.getVolume("copied").remove();
  });

  test("nocopy leaves it empty", async () => {
    expect((await engine.finish(["ls", "/etc"], { Binds: ["bare:/etc:nocopy"] })).out).not.toContain("passwd");
    await engine.docker.getVolume("bare").remove();
  });

  test("anonymous volumes go with `rm -v`, and are not shared", async () => {
    const before = (await engine.docker.listVolumes()).Volumes.length;
    const id = await engine.run(["sh", "-c", "echo x > /data/x; sleep 1000"], {}, { Volumes: { "/data": {} } });
    expect((await engine.docker.listVolumes()).Volumes).toHaveLength(before + 1);
    expect((await engine.inspect(id)).Mounts).toMatchObject([
      { Type: "volume", Destination: "/data", Name: /^[0-9a-f]{64}$/ },
    ]);
    await engine.docker.getContainer(id).remove({ force: true, v: true });
    expect((await engine.docker.listVolumes()).Volumes).toHaveLength(before);
  });

  test("driver options: a tmpfs of a size", async () => {
    const DriverOpts = { type: "tmpfs", device: "tmpfs", o: "size=1m,mode=1777" };
    await engine.docker.createVolume({ Name: "small", DriverOpts });
    const { out } = await engine.finish(["sh", "-c", "df -k /s | tail -1; stat -c %a /s"], { Binds: ["small:/s"] });
    expect(out).toMatch(/^tmpfs\s+1024\s/);
    expect(out).toContain("1777\n");
    await engine.docker.getVolume("small").remove();
  });

  test("driver options: a directory of the host, which must exist", async () => {
    const shared = join(engine.root, "shared");
    mkdirSync(shared);
    const options = (device: string) => ({ type: "none", o: "bind", device });
    await engine.docker.createVolume({ Name: "bound", DriverOpts: options(shared) });
    await engine.finish(["sh", "-c", "echo x > /s/made"], { Binds: ["bound:/s:nocopy"] });
    expect(existsSync(join(shared, "made"))).toBe(true);
    await engine.docker.createVolume({ Name: "nowhere", DriverOpts: options(join(engine.root, "missing")) });
    const id = await engine.create(["true"], { Binds: ["nowhere:/s"] });
    await expect(engine.docker.getContainer(id).start()).rejects.toThrow("error while mounting volume nowhere");
    await engine.docker.getContainer(id).remove();
    for (const name of ["bound", "nowhere"]) await engine.docker.getVolume(name).remove();
    expect(statSync(join(shared, "made")).isFile()).toBe(true);
  });

  test("a subpath is mounted alone, and cannot lead out of the volume", async () => {
    const seed = { Binds: ["tree:/t:nocopy"] };
    await engine.finish(
      ["sh", "-c", `mkdir -p /t/a/b; echo deep > /t/a/b/f; ln -s ${host} /t/out; ln -s /etc /t/abs`],
      seed,
    );
    const mount = (Subpath: string) => ({
      Mounts: [{ Type: "volume" as const, Source: "tree", Target: "/m", VolumeOptions: { Subpath } }],
    });
    expect((await engine.finish(["cat", "/m/f"], mount("a/b"))).out).toBe("deep\n");
    for (const path of ["out", "abs", "missing"]) {
      const id = await engine.create(["ls", "/m"], mount(path));
      await expect(engine.docker.getContainer(id).start()).rejects.toThrow(
        `cannot access the volume's subpath "${path}"`,
      );
      await engine.docker.getContainer(id).remove();
    }
    await engine.docker.getVolume("tree").remove();
  });

  test("volumes of another container, read-only", async () => {
    const first = await engine.run(["sh", "-c", "echo shared > /data/f; sleep 1000"], { Binds: ["from:/data"] });
    const { code, out } = await engine.finish(["sh", "-c", "cat /data/f; echo no > /data/g"], {
      VolumesFrom: [`${first}:ro`],
    });
    expect([code, out]).toEqual([1, "shared\n"]);
    await engine.docker.getContainer(first).remove({ force: true });
    await engine.docker.getVolume("from").remove();
  });
});
