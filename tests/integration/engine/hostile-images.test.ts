import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pack } from "tar-stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";

/** Images that try to lead the engine out of their root, each against a canary on the host that must stay as it was.
 *  Source: security.md section 0 and 3.1 to 3.3. */

let engine: EngineProcess;
let canary: string;
let before: string;

beforeAll(async () => {
  engine = await EngineProcess.start();
  canary = join(engine.root, "canary");
  mkdirSync(join(canary, "sub"), { recursive: true });
  for (const name of ["null", "ptmx", "passwd", "sub/file"]) writeFileSync(join(canary, name), `canary ${name}`);
});
afterAll(async () => {
  await engine.dispose();
});
beforeEach(() => {
  before = fingerprint(canary);
});
afterEach(async () => {
  expect(fingerprint(canary)).toBe(before);
  await engine.removeAll();
});

/** Names, types, modes, owners, times and contents. */
function fingerprint(directory: string): string {
  const hash = createHash("sha256");
  const visit = (path: string): void => {
    const stat = lstatSync(path);
    hash.update(`${path} ${stat.mode} ${stat.uid} ${stat.gid} ${stat.mtimeMs} ${stat.ctimeMs}\n`);
    if (stat.isDirectory())
      readdirSync(path)
        .toSorted()
        .forEach((name) => visit(join(path, name)));
    else if (stat.isSymbolicLink()) hash.update(readlinkSync(path));
    else if (stat.isFile()) hash.update(readFileSync(path));
  };
  visit(directory);
  return hash.digest("hex");
}

type Entry =
  | { readonly name: string; readonly link: string }
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly fifo: true }
  | { readonly name: string; readonly dir: true };

let images = 0;
/** An image of busybox at /bb/sh and these entries; changes as of a Dockerfile. */
async function image(entries: readonly Entry[], changes: readonly string[] = []): Promise<string> {
  const tag = `hostile:${++images}`;
  const tar = pack();
  tar.entry({ name: "bb", type: "directory", mode: 0o755 });
  tar.entry({ name: "bb/sh", mode: 0o755 }, readFileSync("/bin/busybox"));
  for (const entry of entries) {
    if ("link" in entry) tar.entry({ name: entry.name, type: "symlink", linkname: entry.link });
    else if ("fifo" in entry) tar.entry({ name: entry.name, type: "fifo", mode: 0o666 });
    else if ("dir" in entry) tar.entry({ name: entry.name, type: "directory", mode: 0o755 });
    else tar.entry({ name: entry.name, mode: 0o644 }, entry.text);
  }
  tar.finalize();
  const [repo = "", version = ""] = tag.split(":");
  const result = await engine.docker.importImage(Readable.from(tar), {
    repo,
    tag: version,
    changes: [...changes],
  } as never);
  if (result !== undefined) for await (const chunk of result) void chunk;
  return tag;
}

/** How it went: exit code and output, or the message of the refusal. */
async function attempt(tag: string, script: string, config: object = {}, host: object = {}): Promise<string> {
  try {
    const { code, out, err } = await engine.finish(["/bb/sh", "-c", script], host, { Image: tag, ...config });
    return `exit ${code}\n${out}${err}`;
  } catch (error) {
    return `refused: ${error instanceof Error ? error.message : String(error)}`;
  }
}

describe("an image whose kernel directories are symlinks to the host", () => {
  test.each(["dev", "proc", "sys", "etc", "dev/pts", "dev/shm"])("/%s", async (name) => {
    const parent = name.includes("/") ? [{ name: "dev", dir: true } as const] : [];
    const tag = await image([...parent, { name, link: canary }]);
    expect(await attempt(tag, "/bb/sh -c 'echo inside; ls /dev/null /proc/self/status'")).toMatch(/^exit 0\ninside\n/);
  });
  test.each(["etc/hosts", "etc/resolv.conf", "etc/hostname"])(
    "/%s as a symlink to a file of the host",
    async (name) => {
      const tag = await image([
        { name: "etc", dir: true },
        { name, link: join(canary, "passwd") },
      ]);
      expect(await attempt(tag, `cat /${name}; echo x >> /${name}; echo done`)).toContain("done");
    },
  );
});

describe("the working directory", () => {
  test.each(["/proc/self/fd/9", "/proc/1/root", "/proc"])("%s of the image is refused", async (path) => {
    const tag = await image([], [`WORKDIR ${path}`]);
    expect(await attempt(tag, "pwd; ls")).toMatch(/^refused: .*below \/proc/);
  });
  test("that a symlink of the image leads into /proc is refused", async () => {
    const tag = await image([{ name: "w", link: "/proc/self/fd" }]);
    expect(await attempt(tag, "pwd", { WorkingDir: "/w/9" })).toMatch(/^refused/);
  });
  test("that a symlink of the image leads out is one inside", async () => {
    const tag = await image([{ name: "w", link: canary }]);
    const result = await attempt(tag, "pwd; ls -a | grep -c null", { WorkingDir: "/w/made" });
    expect(result).not.toContain("canary");
    expect(result).toMatch(/^(exit \d+\n|refused)/);
  });
});

describe("passwd and group of the image", () => {
  const user = { User: "nosuchuser" };
  test("as a fifo do not hang the engine", async () => {
    const tag = await image([
      { name: "etc", dir: true },
      { name: "etc/passwd", fifo: true },
      { name: "etc/group", fifo: true },
    ]);
    expect(await attempt(tag, "id", user)).toContain("unable to find user nosuchuser");
  });
  test("as symlinks to endless or foreign files are not read", async () => {
    for (const link of ["/dev/zero", "/etc/passwd", `../../../../../../../../..${canary}/passwd`]) {
      const tag = await image([
        { name: "etc", dir: true },
        { name: "etc/passwd", link },
      ]);
      expect(await attempt(tag, "id", { User: "root2" })).toContain("unable to find user root2");
    }
  });
  test("of many megabytes are read up to a bound", async () => {
    const tag = await image([
      { name: "etc", dir: true },
      { name: "etc/passwd", text: `${"x".repeat(100)}\n`.repeat(200_000) },
    ]);
    const begin = performance.now();
    expect(await attempt(tag, "id", user)).toContain("unable to find user nosuchuser");
    expect(performance.now() - begin).toBeLessThan(5000);
  });
  test("cannot make a number mean somebody else", async () => {
    const tag = await image([
      { name: "etc", dir: true },
      { name: "etc/passwd", text: "1000:x:0:0::/:/bin/sh\nroot:x:0:0::/root:\n" },
    ]);
    expect(await attempt(tag, "id -u", { User: "1000" })).toBe("exit 0\n1000\n");
  });
});

describe("volumes of the image", () => {
  test.each(["/proc", "/sys", "/dev", "/", "/proc/self"])("%s is refused", async (path) => {
    const tag = await image([], [`VOLUME ${path}`]);
    expect(await attempt(tag, "true")).toMatch(/^refused/);
  });
  test("at a symlink that leads to the host stays inside, and copies nothing out", async () => {
    const tag = await image([{ name: "data", link: canary }], ["VOLUME /data"]);
    const result = await attempt(tag, "echo x > /data/planted; echo ok");
    expect(result).toMatch(/ok|refused/);
  });
  test("at a path that climbs out is one inside", async () => {
    const tag = await image([], [`VOLUME ../../../../..${canary}`]);
    expect(await attempt(tag, "echo ok")).toMatch(/ok|refused/);
  });
});

test.each(["/proc/sys", "proc/self/attr", "../proc", "/n/x/../../proc/irq", "/hop"])(
  "a mount of the user's on a symlink of the image to %s is refused",
  async (link) => {
    const tag = await image([
      { name: "m", link },
      { name: "n", dir: true },
      { name: "n/x", dir: true },
      { name: "hop", link: "proc/sysrq-trigger" },
    ]);
    expect(await attempt(tag, "true", {}, { Binds: [`${join(canary, "sub")}:/m`] })).toMatch(/^refused.*leads/);
  },
);

test("the runtime cannot be overwritten through /proc/self/exe", async () => {
  const digest = (): string => execFileSync("sha256sum", ["/usr/bin/crun", "/usr/bin/conmon"], { encoding: "utf8" });
  const [tag, then] = [await image([{ name: "run", link: "/proc/self/exe" }]), digest()];
  await attempt(tag, "true", { Entrypoint: ["/run"] });
  await attempt(tag, "for p in /proc/[0-9]*; do echo x > $p/exe; done 2>/dev/null; true");
  expect(digest()).toBe(then);
});

test("environment of the image reaches neither the monitor nor the runtime", async () => {
  const tag = await image([], ["ENV LD_PRELOAD=/evil.so NODE_OPTIONS=--bad"]);
  const id = await engine.run(["/bb/sh", "-c", "sleep 100"], {}, { Image: tag });
  const monitor = readFileSync(join(engine.runRoot, "c", id, "conmon.pid"), "utf8");
  expect(readFileSync(`/proc/${monitor}/environ`, "utf8")).not.toMatch(/LD_PRELOAD|NODE_OPTIONS/);
});
