import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Docker } from "../../../src/client/docker.ts";
import { findEngine, stopEngine } from "../../../src/cli/engine/running-engine.ts";
import { resolveRoots } from "../../../src/cli/engine/roots.ts";
import type { EngineRoots } from "../../../src/cli/engine/roots.ts";

const repository = resolve(import.meta.dirname, "../../..");
// Below node_modules, so that the bundle finds koffi.
const program = join(repository, "node_modules/.tscompose-tests/engine-main.cjs");

beforeAll(async () => {
  await build({
    entryPoints: [join(repository, "tests/support/engine-main.ts")],
    outfile: program,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["koffi"],
    define: { "import.meta.url": "__bundleUrl" },
    banner: { js: 'const __bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
    logLevel: "error",
  });
});

let root: string;
let env: Readonly<Record<string, string>>;
let roots: EngineRoots;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tse-"));
  chmodSync(root, 0o755);
  useDataRoot("data");
});
afterEach(async () => {
  await stop();
  rmSync(root, { recursive: true, force: true });
});

function useDataRoot(name: string, more: Readonly<Record<string, string>> = {}): void {
  env = {
    PATH: process.env["PATH"] ?? "",
    TSCOMPOSE_DATA_ROOT: join(root, name),
    TSCOMPOSE_RUN_ROOT: join(root, "run"),
    ...more,
  };
  roots = resolveRoots(env);
}
async function stop(): Promise<void> {
  const identity = existsSync(roots.runRoot) ? findEngine(roots) : undefined;
  if (identity !== undefined) await stopEngine(identity, 10_000);
}
const pid = (): number => findEngine(roots)?.pid ?? 0;

interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
const nobody = 65534;
function ensure(inherited: readonly number[] = [], uid = 0): Promise<Outcome> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [program, "ensure"], {
      env,
      cwd: "/",
      uid,
      gid: uid,
      stdio: ["ignore", "pipe", "pipe", ...inherited],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout?.on("data", (chunk: unknown) => (stdout += String(chunk)));
    child.stderr?.on("data", (chunk: unknown) => (stderr += String(chunk)));
    child.on("close", (exitCode) => done({ exitCode, stdout: stdout.trim(), stderr: stderr.trim() }));
  });
}

describe("an engine started on demand", () => {
  it("comes up, answers, and is found by the next command", async () => {
    expect(await ensure()).toEqual({ exitCode: 0, stdout: roots.socketPath, stderr: "" });
    const first = pid();
    expect(first).toBeGreaterThan(0);
    expect(await ensure()).toMatchObject({ exitCode: 0 });
    expect(pid()).toBe(first);
    expect((await new Docker({ socketPath: roots.socketPath }).info()).ID).toBe("memory");
  });

  it("guards its folders and its socket by mode", async () => {
    await ensure();
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect([mode(roots.dataRoot), mode(roots.runRoot), mode(roots.socketPath)]).toEqual(["700", "711", "660"]);
    expect([mode(roots.logPath), mode(roots.lockPath)]).toEqual(["600", "600"]);
  });

  it("has its own session and mount namespace, and holds nothing of its starter", async () => {
    const file = join(root, "inherited");
    writeFileSync(file, "x");
    const { openSync, closeSync } = await import("node:fs");
    const fd = openSync(file, "r");
    await ensure([fd, fd]);
    closeSync(fd);
    const engine = pid();
    const stat = readFileSync(`/proc/${engine}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    expect(stat[3]).toBe(String(engine));
    expect(readlinkSync(`/proc/${engine}/ns/mnt`)).not.toBe(readlinkSync("/proc/self/ns/mnt"));
    expect(readlinkSync(`/proc/${engine}/cwd`)).toBe(roots.runRoot);
    const { readdirSync } = await import("node:fs");
    const held = readdirSync(`/proc/${engine}/fd`).map((name) => readlinkSync(`/proc/${engine}/fd/${name}`));
    expect(held.filter((target) => target === file)).toEqual([]);
  });

  it("is one, however many commands ask at once", async () => {
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => ensure()));
    expect(outcomes.map(({ exitCode, stderr }) => `${exitCode}${stderr}`)).toEqual(Array(6).fill("0"));
    const log = readFileSync(roots.logPath, "utf8");
    expect(log.match(/listening on/g)).toHaveLength(1);
  });

  it("replaces the socket that a killed engine left", async () => {
    await ensure();
    const first = pid();
    process.kill(first, "SIGKILL");
    await expect.poll(() => findEngine(roots)).toBeUndefined();
    expect(existsSync(roots.socketPath)).toBe(true);
    expect(await ensure()).toMatchObject({ exitCode: 0 });
    expect(pid()).not.toBe(first);
  });

  it("leaves at SIGTERM and takes socket and pid file along", async () => {
    await ensure();
    process.kill(pid(), "SIGTERM");
    await expect.poll(() => findEngine(roots)).toBeUndefined();
    expect([existsSync(roots.socketPath), existsSync(roots.pidPath)]).toEqual([false, false]);
    expect(readFileSync(roots.logPath, "utf8")).toMatch(/leaving: SIGTERM/);
  });

  it("leaves when nothing runs and nobody asks, and stays while a container runs", async () => {
    useDataRoot("data", { TSCOMPOSE_ENGINE_IDLE: "0.3" });
    await ensure();
    const docker = new Docker({ socketPath: roots.socketPath });
    const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep"] });
    await container.start();
    docker.close();
    const busyUntil = performance.now() + 1500;
    while (performance.now() < busyUntil) {
      expect(pid()).toBeGreaterThan(0);
      await new Promise((resume) => setTimeout(resume, 100));
    }
    const again = new Docker({ socketPath: roots.socketPath });
    await again.getContainer(container.id).stop();
    again.close();
    await expect.poll(() => pid(), { timeout: 10_000 }).toBe(0);
    expect(readFileSync(roots.logPath, "utf8")).toMatch(/leaving: nothing runs/);
  });
});

describe("an engine that cannot start", () => {
  it("hands its error and its hint to the command", async () => {
    useDataRoot("refuses");
    const { exitCode, stderr } = await ensure();
    expect(exitCode).toBe(1);
    expect(stderr).toBe("host/unsupported: this kernel is too old (get a newer one)");
    expect(findEngine(roots)).toBeUndefined();
    expect([existsSync(roots.socketPath), existsSync(roots.pidPath)]).toEqual([false, false]);
  });

  it("shows the end of its log when it dies without a word", async () => {
    useDataRoot("dies");
    const { exitCode, stderr } = await ensure();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^engine\/failed: the engine died while it started: something went terribly wrong/);
  });

  it("tells a user without root rights what to do", async () => {
    const before = await ensure([], nobody);
    expect(before.exitCode).toBe(1);
    expect(before.stderr).toMatch(/^host\/permission: the engine needs root rights \(run the command with sudo/);
    expect(existsSync(roots.dataRoot)).toBe(false);
  });

  it("does not let such a user at an engine that runs", async () => {
    await ensure();
    const { exitCode, stderr } = await ensure([], nobody);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^host\/permission: no permission to use the engine at unix:/);
  });

  it("names the root it cannot use", async () => {
    const path = join(root, "a-file");
    writeFileSync(path, "");
    useDataRoot("a-file");
    const { exitCode, stderr } = await ensure();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/cannot use .*a-file as a root of the engine: EEXIST .*TSCOMPOSE_DATA_ROOT/);
  });

  it("does not hang where no folder can be made", async () => {
    env = { ...env, TSCOMPOSE_RUN_ROOT: "/proc/nope" };
    const { exitCode, stderr } = await ensure();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/cannot use \/proc\/nope as a root of the engine: ENOENT/);
  });

  it("refuses to take the place of something that is not a socket", async () => {
    mkdirSync(roots.runRoot, { recursive: true });
    writeFileSync(roots.socketPath, "keep me");
    const { exitCode, stderr } = await ensure();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/something that is not a socket is there/);
    expect(readFileSync(roots.socketPath, "utf8")).toBe("keep me");
  });
});
