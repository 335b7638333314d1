/** An engine that runs out of descriptors, of disk space, of time. Source: reliability.md REL-21, REL-32, REL-41. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EngineProcess, splitFrames, until } from "../../support/engine-process.ts";

async function withEngine(work: (engine: EngineProcess) => Promise<void>): Promise<void> {
  const engine = await EngineProcess.start();
  try {
    await work(engine);
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
  }
}
const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

test("without descriptors it refuses what it cannot do, and is as before when they are back", async () => {
  await withEngine(async (engine) => {
    await engine.finish(["true"]);
    const before = descriptorsOf(engine.pid);
    execFileSync("prlimit", ["--pid", String(engine.pid), `--nofile=${before + 40}:`]);
    const sockets = await Promise.all(Array.from({ length: 200 }, () => open(engine.socket)));
    const runs = Promise.allSettled(Array.from({ length: 5 }, () => withDeadline(engine.finish(["true"]))));
    const outcomes = await runs;
    sockets.forEach((socket) => socket?.destroy());
    for (const outcome of outcomes) if (outcome.status === "fulfilled") expect(outcome.value.code).toBe(0);
    execFileSync("prlimit", ["--pid", String(engine.pid), "--nofile=4096:"]);
    await until(async () => (await engine.finish(["echo", "back"])).out === "back\n");
    await engine.removeAll();
    await until(() => descriptorsOf(engine.pid) <= before + 4);
    expect(engine.log).not.toMatch(/unhandled|uncaught/i);
  });
});

/** Undefined: refused. */
function open(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}
async function withDeadline<T>(work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error("no answer")), 5000).unref();
  });
  return await Promise.race([work, late]);
}

test("without disk space containers go on, what they write is dropped, and its end is logged when there is space again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=48m", "full", folder]);
  const shared = mkdtempSync(join(tmpdir(), "signals-"));
  const temp = process.env["TMPDIR"];
  try {
    process.env["TMPDIR"] = folder;
    const engine = await EngineProcess.start();
    process.env["TMPDIR"] = temp;
    if (temp === undefined) delete process.env["TMPDIR"];
    try {
      const flood = "i=0; while [ $i -lt 30000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
      const line = `until [ -e /s/go ]; do sleep 0.05; done; ${flood}; touch /s/written; until [ -e /s/end ]; do sleep 0.05; done; echo end`;
      const id = await engine.run(["sh", "-c", line], { Binds: [`${shared}:/s`] });
      const container = engine.docker.getContainer(id);
      const filler = join(folder, "filler");
      fill(filler);
      const begin = performance.now();
      writeFileSync(join(shared, "go"), "");
      await until(() => existsSync(join(shared, "written")), 60_000);
      expect((await engine.inspect(id)).State.Status).toBe("running");
      console.info(`60,000 lines without disk space: ${Math.round(performance.now() - begin)} ms`);
      rmSync(filler);
      writeFileSync(join(shared, "end"), "");
      expect((await container.wait()).StatusCode).toBe(0);
      expect(splitFrames(await container.logs({ stdout: true, tail: 1 })).out).toBe("end\n");
      expect(await engine.leaks()).toEqual([]);
    } finally {
      await engine.dispose();
    }
  } finally {
    execFileSync("umount", ["-l", folder]);
    for (const path of [folder, shared]) rmSync(path, { recursive: true });
  }
});

function fill(path: string): void {
  const { bavail, bsize } = statfsSync(join(path, ".."));
  try {
    writeFileSync(path, Buffer.alloc(bavail * bsize));
    writeFileSync(`${path}.more`, Buffer.alloc(bsize));
  } catch {
    rmSync(`${path}.more`, { force: true }); // that was the aim
  }
}

test("stopped for a while and continued, it calls nobody unhealthy and starts nobody twice", async () => {
  await withEngine(async (engine) => {
    const Healthcheck = { Test: ["CMD", "true"], Interval: 1e8, Timeout: 1e9, Retries: 2 };
    const id = await engine.run(["sleep", "1000"], {}, { Healthcheck });
    const again = await engine.run(["sh", "-c", "sleep 0.5"], { RestartPolicy: { Name: "on-failure" } });
    await until(async () => (await engine.inspect(id)).State.Health?.Status === "healthy");
    const recording = engine.record();
    await new Promise((done) => setTimeout(done, 200));
    process.kill(engine.pid, "SIGSTOP");
    await new Promise((done) => setTimeout(done, 3000));
    process.kill(engine.pid, "SIGCONT");
    await new Promise((done) => setTimeout(done, 1000));
    recording.stop();
    expect((await engine.inspect(id)).State.Health).toMatchObject({ Status: "healthy" });
    expect((await engine.inspect(again)).State).toMatchObject({ Status: "exited", ExitCode: 0 });
    expect((await engine.inspect(again)).RestartCount).toBe(0);
    const told = recording.events.map(({ Action }) => Action);
    expect(told.filter((action) => action.startsWith("health_status") || action === "start")).toEqual([]);
  });
});
