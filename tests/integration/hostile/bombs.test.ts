import { readdirSync, readFileSync, rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EngineProcess, until } from "../../support/engine-process.ts";
import { execIn } from "../engine-streams/engine-exec.ts";
import { compileHostile, Hostiles, hostSettings } from "./hostile-kit.ts";

/** Containers that take all they can get: the engine, and the container beside them, go on. Source: reliability.md REL-31, REL-33. */

let engine: EngineProcess;
let folder: string;
let hostiles: Hostiles;
let settings: Readonly<Record<string, string>>;
beforeAll(async () => {
  folder = compileHostile();
  engine = await EngineProcess.start();
  hostiles = new Hostiles(engine, folder);
});
afterAll(async () => {
  try {
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
});
beforeEach(() => {
  settings = hostSettings();
});
afterEach(async () => {
  await engine.removeAll();
  expect(hostSettings()).toEqual(settings);
});

/** Another container starts, says something and ends. */
async function expectNeighbour(): Promise<void> {
  expect(await engine.finish(["echo", "fine"])).toMatchObject({ code: 0, out: "fine\n" });
}

describe("a container that", () => {
  test("forks without end gets to its limit of processes, and is killed whole", async () => {
    const id = await hostiles.start(["fork-bomb"], { PidsLimit: 60, ready: true });
    await until(
      async () =>
        ((await engine.docker.getContainer(id).stats({ stream: false, "one-shot": true })) as unknown as Usage)
          .pids_stats.current >= 60,
    );
    await expectNeighbour();
    await engine.docker.getContainer(id).kill();
    expect((await engine.inspect(id)).State).toMatchObject({ Status: "exited", ExitCode: 137, Pid: 0 });
  });

  test("opens files without end is stopped at its limit of descriptors", async () => {
    const id = await hostiles.start(["descriptors", "/dev/null"], {
      Ulimits: [{ Name: "nofile", Soft: 1000, Hard: 1000 }],
    });
    await until(async () => (await hostiles.output(id)) === "997 Too many open files\n");
    await expectNeighbour();
  });

  test("opens terminals without end takes none from the others", async () => {
    const id = await hostiles.start(["descriptors", "/dev/pts/ptmx"]);
    await until(async () => (await hostiles.output(id)) !== "");
    const { out } = await engine.finish(
      ["sh", "-c", "test -t 0 && echo terminal"],
      {},
      { Tty: true, OpenStdin: false },
    );
    expect(out + (await rawOutput())).toContain("terminal");
  });

  test("makes files without end fills its own file system only", async () => {
    const { out } = await hostiles.finish(["inodes", "/t"], { Tmpfs: { "/t": "size=1m,nr_inodes=300" } });
    expect(out).toMatch(/^2\d\d No space left on device\n$/);
    await expectNeighbour();
  });

  test("fills its shared memory gets as much as it was given", async () => {
    const { out } = await hostiles.finish(["fill", "/dev/shm/x"], { ShmSize: 1024 * 1024 });
    expect(out).toBe("1048576 No space left on device\n");
  });

  test("leaves a process that has cut all ties ends with it", async () => {
    const id = await hostiles.start(["daemonise"]);
    const container = engine.docker.getContainer(id);
    await until(async () => (await container.top()).Processes.length === 2);
    expect((await container.wait()).StatusCode).toBe(0);
    const left = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes("daemonise"));
    expect(left).toEqual([]);
  });

  test("does not collect its children fills its own process table only", async () => {
    const id = await hostiles.start(["zombies", "60"], { PidsLimit: 70, ready: true });
    await expectNeighbour();
    const { out } = await execIn(engine, id, "sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l");
    expect(out.trim()).toBe("60");
  });

  test("leaves orphans has them collected by the init that it asked for", async () => {
    const id = await hostiles.start(["orphans", "100"], { Init: true, ready: true });
    await until(async () => (await engine.docker.getContainer(id).top()).Processes.length === 2);
    const { out } = await execIn(engine, id, "sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l");
    expect(out.trim()).toBe("0");
  });

  test("writes byte by byte loses none", async () => {
    const { code, out } = await hostiles.finish(["bytes", "4096"]);
    expect(code).toBe(0);
    expect(out).toBe(`${"x".repeat(63)}\n`.repeat(64));
  });

  test("writes one line that does not end is kept within the bounds of its log", async () => {
    const size = Number(process.env["TSCOMPOSE_LONG_LINE"] ?? 64 * 1024 * 1024);
    const LogConfig = { Type: "json-file", Config: { "max-size": "1m", "max-file": "2" } };
    const id = await hostiles.start(["long-line", String(size)], { LogConfig });
    expect((await engine.docker.getContainer(id).wait()).StatusCode).toBe(0);
    const tail = await hostiles.output(id);
    expect(tail.length).toBeGreaterThan(256 * 1024);
    expect(tail.length).toBeLessThan(2.5 * 1024 * 1024);
    expect(/^x+$/.test(tail)).toBe(true);
    await expectNeighbour();
  });
});

test("arguments and an environment as large as the kernel takes arrive, and of larger ones the log tells", async () => {
  const large = "x".repeat(120 * 1024);
  const { out } = await engine.finish(
    ["sh", "-c", "echo ${#1} ${#2} ${#BIG}", "sh", large, large],
    {},
    { Env: [`BIG=${large}`] },
  );
  expect(out).toBe(`${large.length} ${large.length} ${large.length}\n`);
  const id = await engine.create(["true", "x".repeat(140 * 1024)]);
  const container = engine.docker.getContainer(id);
  await container.start(); // only the kernel knows, when the program takes the place of the runtime
  expect((await container.wait()).StatusCode).not.toBe(0);
  expect((await container.logs({ stderr: true })).toString()).toMatch(/argument list too long/i);
  await expectNeighbour();
});

interface Usage {
  readonly pids_stats: { readonly current: number };
}

async function rawOutput(): Promise<string> {
  const id = await engine.run(["sh", "-c", "test -t 0 && echo terminal"], {}, { Tty: true });
  await engine.docker.getContainer(id).wait();
  return (await engine.docker.getContainer(id).logs({ stdout: true })).toString();
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
