import { execFileSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  lstatSync,
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
import { Readable } from "node:stream";
import { extract, pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ContainerConfig, HostConfig } from "../../../src/engine/types.ts";
import { EngineProcess, until } from "../../support/engine-process.ts";

/** Containers whose root is a range of /etc/subuid: what they see, what the host sees, and who owns what on disk. */

const base = 700_000;
let engine: EngineProcess;
let files: string;
const names = ["subuid", "subgid"];

const missing = names.filter((name) => !existsSync(`/etc/${name}`));

/** In the engine's own mount namespace: the host's files stay as they are. */
function giveIds(): void {
  for (const name of names) {
    const mount = ["mount", "--bind", join(files, name), `/etc/${name}`];
    execFileSync("nsenter", [`--mount=/proc/${engine.pid}/ns/mnt`, ...mount]);
  }
}

beforeAll(async () => {
  files = mkdtempSync(join(tmpdir(), "ids-"));
  for (const name of names) writeFileSync(join(files, name), `box:${base}:65536\n`);
  for (const name of missing) writeFileSync(`/etc/${name}`, "");
  engine = await EngineProcess.start({ TSCOMPOSE_USERNS_REMAP: "box" });
  giveIds();
});
afterAll(async () => {
  await engine.dispose();
  for (const name of missing) rmSync(`/etc/${name}`);
  rmSync(files, { recursive: true });
});

async function out(script: string, host: HostConfig = {}, config: ContainerConfig = {}): Promise<string> {
  const { out: text, err } = await engine.finish(["sh", "-c", script], host, config);
  return `${text}${err}`.trim();
}

describe("a container of an engine with TSCOMPOSE_USERNS_REMAP", () => {
  test("is root inside and somebody else outside, in files too", async () => {
    const id = await engine.run(["sh", "-c", "touch /made; exec sleep 1000"]);
    const { Pid } = (await engine.inspect(id)).State;
    expect(readFileSync(`/proc/${Pid}/uid_map`, "latin1").trim().split(/\s+/).map(Number)).toEqual([0, base, 65536]);
    expect(statSync(`/proc/${Pid}`).uid).toBe(base);
    const upper = (await engine.inspect(id)).GraphDriver.Data["UpperDir"] ?? "";
    await until(() => readdirSync(upper).includes("made"));
    expect(lstatSync(join(upper, "made"))).toMatchObject({ uid: base, gid: base });
    await engine.docker.getContainer(id).remove({ force: true });
  });

  test("sees the image's files as their owners have them, without a layer being chowned", async () => {
    expect(await out("id -u; stat -c '%u %g' / /bin/busybox /etc/passwd /bin")).toBe("0\n0 0\n0 0\n0 0\n0 0");
    expect(
      await out(
        "echo x:x:9:9::/: >> /etc/passwd; stat -c '%u %g' /etc/passwd; touch /root.txt; chown 5:6 /root.txt; stat -c '%u %g' /root.txt",
      ),
    ).toBe("0 0\n5 6");
    const layers = execFileSync("find", [
      engine.dataRoot,
      "-path",
      "*containers*",
      "-prune",
      "-o",
      "-uid",
      `+${base - 1}`,
      "-print",
    ]);
    expect(layers.toString()).toBe("");
  });

  test("works as any other: user, groups, working directory, streams, network, names", async () => {
    const config = { User: "app", WorkingDir: "/work/dir" };
    expect(
      await out(
        "id -u; pwd; stat -c %u .; echo again > /dev/stdout; touch /tmp/mine && stat -c %u /tmp/mine",
        {},
        config,
      ),
    ).toBe("1000\n/work/dir\n0\nagain\n1000");
    const network = { NetworkMode: "bridge" };
    expect(
      await out(
        "ip -o -4 addr show eth0 | wc -l; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ping -c1 -W3 127.0.0.1 > /dev/null && echo pinged",
        network,
      ),
    ).toBe("1\n0\npinged");
    expect(await out("echo 1.2.3.4 more >> /etc/hosts && grep -c more /etc/hosts")).toBe("1");
  });

  test("has none of its capabilities outside", async () => {
    expect(
      await out(
        "mount -t tmpfs x /mnt 2>&1; mknod /d c 1 1 2>&1; (: < /dev/null) && echo null; cat /proc/1/status | grep CapBnd | cut -f2",
      ),
    ).toMatch(/denied|permitted[^]*permitted[^]*null\n00000000a80425fb/);
  });

  test("writes a volume and a bind as whom it is inside", async () => {
    const dir = join(engine.root, "bound");
    mkdirSync(dir);
    writeFileSync(join(dir, "given"), "text");
    chownSync(join(dir, "given"), 1000, 1000);
    const host = { Binds: [`${dir}:/b`, "owned:/etc", `${join(dir, "given")}:/single`] };
    const script =
      "stat -c '%u %g' /b /b/given /single /etc /etc/passwd; touch /b/root /etc/new; chown 1000 /etc/new; cat /b/given";
    expect(await out(script, host)).toBe("0 0\n1000 1000\n1000 1000\n0 0\n0 0\ntext");
    expect(lstatSync(join(dir, "root"))).toMatchObject({ uid: 0, gid: 0 });
    const { Mountpoint } = await engine.docker.getVolume("owned").inspect();
    expect(lstatSync(join(Mountpoint, "new")).uid).toBe(1000);
    expect(lstatSync(join(Mountpoint, "passwd")).uid).toBe(0);
    // The same volume in the host's namespace has the same owners.
    const plain = { UsernsMode: "host", Binds: ["owned:/v"] };
    expect(await out("stat -c %u /v/new /v/passwd", plain)).toBe("1000\n0");
    await engine.docker.getVolume("owned").remove();
  });

  test("has files copied in and out with the owners that they have inside, running or not", async () => {
    const id = await engine.create(["sleep", "1000"], { Binds: ["cp-volume:/v"] });
    const container = engine.docker.getContainer(id);
    const put = async (path: string): Promise<void> => {
      const tar = pack();
      tar.entry({ name: "sub/f", mode: 0o644, uid: 1000, gid: 1001 }, "content");
      tar.finalize();
      await container.putArchive(Readable.from(tar) as never, { path });
    };
    const owners = async (path: string): Promise<string> => {
      const tar = extract();
      const found: string[] = [];
      tar.on("entry", ({ name, uid, gid }, stream, next) => {
        found.push(`${name} ${uid} ${gid}`);
        stream.resume();
        next();
      });
      const stream = await container.getArchive({ path });
      await new Promise((done, fail) => {
        tar.on("finish", () => done(undefined)).on("error", fail);
        (stream as unknown as Readable).pipe(tar);
      });
      return found.join("\n");
    };
    for (const path of ["/tmp", "/v"]) {
      await put(path);
      expect(await owners(`${path}/sub`)).toBe("sub/ 0 0\nsub/f 1000 1001");
    }
    await container.start();
    await put("/v");
    await put("/tmp");
    for (const path of ["/tmp", "/v"]) expect(await owners(`${path}/sub`)).toBe("sub/ 0 0\nsub/f 1000 1001");
    const changed = (await container.changes()) ?? [];
    expect(changed.map(({ Path }) => Path)).toContain("/tmp/sub/f");
    expect(changed.map(({ Path }) => Path)).not.toContain("/bin");
    await container.remove({ force: true });
    await engine.docker.getVolume("cp-volume").remove();
  });

  test("becomes an image whose files have the owners that they have inside", async () => {
    const id = await engine.run(["sh", "-c", "echo x > /root-file; echo y > /app-file; chown 1000:1001 /app-file"]);
    const container = engine.docker.getContainer(id);
    await container.wait();
    await container.commit({ repo: "committed" });
    await container.remove();
    for (const UsernsMode of ["host", "private"]) {
      const script = "stat -c '%u %g' /root-file /app-file";
      expect(await out(script, { UsernsMode }, { Image: "committed" })).toBe("0 0\n1000 1001");
    }
    await engine.docker.getImage("committed").remove();
  });

  test("can be entered, and is found again by the next engine", async () => {
    const id = await engine.run(["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"], {
      NetworkMode: "bridge",
    });
    await engine.kill("SIGKILL");
    await engine.launch();
    giveIds();
    const session = await engine.docker
      .getContainer(id)
      .exec({ Cmd: ["cat", "/proc/self/uid_map"], AttachStdout: true });
    const chunks: Buffer[] = [];
    for await (const chunk of await session.start({})) chunks.push(Buffer.from(chunk as Uint8Array));
    expect(Buffer.concat(chunks).toString("latin1")).toMatch(new RegExp(`0 +${base} +65536`));
    await engine.docker.getContainer(id).restart();
    expect((await engine.inspect(id)).State.Status).toBe("running");
    await engine.docker.getContainer(id).remove({ force: true });
  });
});

describe("userns_mode", () => {
  test("host leaves the engine's range out", async () => {
    expect(await out("cat /proc/self/uid_map | tr -s ' '", { UsernsMode: "host" })).toBe("0 0 4294967295");
  });
  test("private asks for it", async () => {
    expect(await out("cat /proc/self/uid_map | tr -s ' '", { UsernsMode: "private" })).toBe(`0 ${base} 65536`);
  });
  test("of another kind is refused by the field's name", async () => {
    await expect(engine.create(["true"], { UsernsMode: "keep-id" })).rejects.toThrow("HostConfig.UsernsMode keep-id");
  });
  test.each<[HostConfig, string]>([
    [{ Privileged: true }, "privileged mode is incompatible with user namespaces"],
    [{ NetworkMode: "host" }, "cannot share the host's network namespace"],
    [{ PidMode: "host" }, "cannot share the host PID namespace"],
  ])("a range and %j exclude each other", async (host, message) => {
    await expect(engine.create(["true"], host)).rejects.toThrow(message);
  });
  test("containers that share namespaces share the range, or say that they cannot", async () => {
    const host = { NetworkMode: "bridge", IpcMode: "shareable" };
    const first = await engine.run(["sleep", "1000"], host, {}, "first");
    const shared = { NetworkMode: "container:first", IpcMode: "container:first", PidMode: "container:first" };
    const pid = (await engine.inspect(first)).State.Pid;
    const user = execFileSync("readlink", [`/proc/${pid}/ns/user`], { encoding: "utf8" }).trim();
    expect(await out("readlink /proc/self/ns/user; ls /proc/1/fd > /dev/null && echo same", shared)).toBe(
      `${user}\nsame`,
    );
    await engine.docker.getContainer(first).remove({ force: true });
    const plain = await engine.run(["sleep", "1000"], { ...host, UsernsMode: "host" }, {}, "plain");
    await expect(out("true", { NetworkMode: "container:plain" })).rejects.toThrow("it has another user namespace");
    await engine.docker.getContainer(plain).remove({ force: true });
  });
  test("a user number beyond the range is refused", async () => {
    await expect(out("id", {}, { User: "70000" })).rejects.toThrow("70000 is outside of the range");
  });
});
