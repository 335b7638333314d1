/** kill -9 of the engine: containers go on, the next command starts an engine that adopts them. */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, Workspace } from "../support/workspace.ts";

const services = 20;
/** Counts up by one a line; s0..s4 end by themselves after the file /stop appears, with exit code 40 + n. */
const composeFile = `services:\n${Array.from(
  { length: services },
  (_, n) => `  s${n}:
    image: busybox:latest
    command: ["sh", "-c", "i=0; while [ ! -e /shared/stop-${n} ]; do i=$$((i+1)); echo line $$i; sleep 0.05; done; exit $$((40 + ${n}))"]
    init: false
    volumes: ["shared:/shared"]
`,
).join("")}volumes:\n  shared:\n`;

describe("an engine that is killed", () => {
  let workspace: Workspace;
  let pids: readonly number[];
  const inspectPids = async (): Promise<readonly number[]> => {
    const ids = (await workspace.ok(["ps", "-aq"])).trim().split("\n");
    const { Docker } = await import("../../src/client/docker.ts");
    const docker = new Docker({ socketPath: workspace.socket });
    const found = await Promise.all(ids.map(async (id) => await docker.getContainer(id).inspect()));
    return found.map((one) => one.State.Pid);
  };
  const killEngine = async (): Promise<void> => {
    const pid = workspace.enginePid();
    if (pid === undefined) throw new Error("no engine runs");
    process.kill(pid, "SIGKILL");
    await eventually(() =>
      existsSync(`/proc/${pid}/exe`) && readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ") === false
        ? undefined
        : true,
    );
  };

  beforeAll(async () => {
    workspace = await Workspace.create({ "compose.yaml": composeFile });
    await workspace.loadBusybox();
    await workspace.ok(["up", "-d"]);
    pids = await inspectPids();
  });
  afterAll(async () => await workspace.dispose());

  test("kill -9 stops none of 20 containers", async () => {
    expect(pids.filter((pid) => pid > 0)).toHaveLength(services);
    await killEngine();
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toHaveLength(services);
  });

  test("the next command adopts them: same processes, exec and logs work, no line is missing", async () => {
    expect(new Set(await inspectPids())).toEqual(new Set(pids));
    expect(await workspace.ok(["exec", "-T", "s7", "echo", "still here"])).toBe("still here\n");
    const lines = (await workspace.ok(["logs", "--no-color"])).trim().split("\n");
    for (let n = 0; n < services; n += 1) {
      const prefix = new RegExp(`^s${n}-1 +\\| line (\\d+)$`);
      const numbers = lines.flatMap((line) =>
        prefix.exec(line)?.[1] === undefined ? [] : [Number(prefix.exec(line)?.[1])],
      );
      expect(numbers.length).toBeGreaterThan(10);
      expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    }
  });

  test("names still resolve after the adoption", async () => {
    expect(await workspace.ok(["exec", "-T", "s1", "nslookup", "s2"])).toMatch(/Address.*\d+\.\d+\.\d+\.\d+/);
  });

  test("exit codes of containers that ended while no engine ran are right", async () => {
    await killEngine();
    const shared = `${workspace.dataRoot}/volumes`;
    const { readdirSync, writeFileSync } = await import("node:fs");
    const volume = readdirSync(shared).find((name) => name.endsWith("_shared")) ?? "";
    for (const n of [0, 1, 2, 3, 4]) writeFileSync(`${shared}/${volume}/_data/stop-${n}`, "");
    await eventually(() =>
      pids.filter((pid) => existsSync(`/proc/${pid}`)).length === services - 5 ? true : undefined,
    );
    const rows = (await workspace.ok(["ps", "-a", "--format", "json"])).trim().split("\n");
    const ended = rows
      .map((row) => JSON.parse(row) as { readonly Service: string; readonly State: string; readonly ExitCode: number })
      .filter(({ State }) => State === "exited");
    expect(Object.fromEntries(ended.map(({ Service, ExitCode }) => [Service, ExitCode]))).toEqual({
      s0: 40,
      s1: 41,
      s2: 42,
      s3: 43,
      s4: 44,
    });
  });

  test("SIGTERM ends the engine and no container", async () => {
    await workspace.ok(["ls"]);
    const alive = pids.filter((pid) => existsSync(`/proc/${pid}`)).length;
    const pid = workspace.enginePid() ?? 0;
    process.kill(pid, "SIGTERM");
    await eventually(() => (existsSync(`/proc/${pid}/exe`) ? undefined : true));
    expect(pids.filter((one) => existsSync(`/proc/${one}`))).toHaveLength(alive);
  });

  test("down after all that leaves nothing", async () => {
    await workspace.ok(["down", "-v", "-t", "0"]);
    expect(await workspace.leaks()).toEqual([]);
  });
});
