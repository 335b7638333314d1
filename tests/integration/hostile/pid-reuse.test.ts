/** Process numbers that come round again: whoever has got the number of a container's process, or of its monitor, is never signalled.
 *  TSCOMPOSE_REUSES: rounds of each verb (1000 at full size over all). Source: reliability.md REL-70. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EngineProcess, until } from "../../support/engine-process.ts";
import { buildProgram } from "../../support/programs.ts";

const rounds = Number(process.env["TSCOMPOSE_REUSES"] ?? 2);
const lastPid = "/proc/sys/kernel/ns_last_pid";

let engine: EngineProcess;
let tripwire: string;
beforeAll(async () => {
  engine = await EngineProcess.start();
  tripwire = join(await buildProgram("tripwire"), "tripwire");
});
afterAll(async () => {
  try {
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
  }
});

/** A process with the number of one that has gone. */
async function takeNumber(pid: number): Promise<ChildProcess> {
  for (let attempt = 0; attempt < 50; attempt++) {
    writeFileSync(lastPid, String(pid - 1));
    const child = spawn(tripwire, [], { stdio: ["ignore", "pipe", "ignore"] });
    if (child.pid === pid) {
      await once(child.stdout, "data");
      return child;
    }
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  throw new Error(`another process was always quicker to take number ${pid}`);
}

/** The parent of the container's process. */
const monitorOf = (pid: number): number =>
  Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);

const verbs: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
  stop: async (id) => await engine.docker.getContainer(id).stop({ t: 1 }),
  kill: async (id) => await engine.docker.getContainer(id).kill({ signal: "KILL" }),
  exec: async (id) => {
    const exec = await engine.docker.getContainer(id).exec({ Cmd: ["kill", "-9", "-1"] });
    return await exec.start({ Detach: true });
  },
  stats: async (id) => await engine.docker.getContainer(id).stats({ stream: false }),
  pause: async (id) => await engine.docker.getContainer(id).pause(),
  remove: async (id) => await engine.docker.getContainer(id).remove({ force: true }),
  // What the next engine finds is not what its records say.
  adopt: async () => {
    await engine.kill("SIGKILL");
    await engine.launch();
  },
};

test.each(Object.keys(verbs))("%s signals nobody who has the number now", async (verb) => {
  for (let round = 0; round < rounds; round++) {
    const id = await engine.run(["sleep", "1000"]);
    const { Pid: pid } = (await engine.inspect(id)).State;
    const monitor = monitorOf(pid);
    // While the engine stands still, it cannot see that they end, nor who comes after them.
    process.kill(engine.pid, "SIGSTOP");
    process.kill(pid, "SIGKILL");
    await until(() => !existsSync(`/proc/${pid}`) && !existsSync(`/proc/${monitor}`));
    const wires = [await takeNumber(pid), await takeNumber(monitor)];
    const asked = verbs[verb]?.(id).catch(() => undefined); // that it has ended is an answer, too
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (verb !== "adopt") process.kill(engine.pid, "SIGCONT");
    await asked;
    await until(async () => (await engine.docker.listContainers({ filters: { id: [id] } })).length === 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(wires.map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual([null, null]);
    for (const wire of wires) {
      wire.kill("SIGKILL");
      await once(wire, "exit");
    }
    await engine.removeAll();
  }
});
