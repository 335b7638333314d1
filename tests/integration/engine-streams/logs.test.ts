import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../../src/engine/containers/container.ts";
import type { LogOptions } from "../../../src/engine/engine.ts";
import { containerLogs } from "../../../src/engine/streams/container-logs.ts";
import { Bench, textOf, until } from "./bench-container.ts";

let bench: Bench;
beforeAll(() => (bench = new Bench()));
afterAll(async () => bench.close());

const everything: LogOptions = {
  stdout: true,
  stderr: true,
  follow: false,
  timestamps: false,
  sinceNs: undefined,
  untilNs: undefined,
  tail: undefined,
};
function logs(container: Container, options: Partial<LogOptions> = {}) {
  const context = { inotify: bench.inotify, signal: new AbortController().signal };
  return containerLogs(container, { ...everything, ...options }, context).chunks;
}
function logFiles(container: Container): readonly string[] {
  return readdirSync(container.paths.dir).filter((name) => /^container\.log\.\d+$/.test(name));
}

describe("logs of a container", () => {
  test("stdout and stderr apart, byte for byte, dated in UTC", async () => {
    const container = await bench.run({ Cmd: ["sh", "-c", "printf 'a\\nno end'; printf '\\377\\000bin\\n' >&2"] });
    await bench.ended(container);
    expect(await textOf(logs(container, { stderr: false }))).toEqual(["stdout:a\nno end"]);
    const [dated] = await textOf(logs(container, { stdout: false, timestamps: true }));
    expect(dated).toMatch(/^stderr:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /);
    for await (const { data } of logs(container, { stdout: false })) expect(data.toString("hex")).toBe("ff0062696e0a");
  });

  test("a follower gets each line as it is written and ends with the container", async () => {
    const container = await bench.run({ Cmd: ["sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 0.05; done"] });
    expect((await textOf(logs(container, { follow: true }))).join("")).toBe("stdout:1\n2\n3\n4\n");
  });

  test("a flood stays within its bound, and a follower loses nothing of it", async () => {
    const config = { "max-size": "1m", "max-file": "3" };
    const count = 60_000;
    const rest = "of the flood, which has to be somewhat longer than one would write by hand";
    const command = `i=0; while [ $i -lt ${count} ]; do echo "line $i ${rest}"; i=$((i+1)); done`;
    const container = await bench.run(
      { Cmd: ["sh", "-c", command] },
      { LogConfig: { Type: "json-file", Config: config } },
    );
    let text = "";
    for await (const { data } of logs(container, { follow: true })) text += data.toString();
    const lines = text.split("\n");
    expect(lines.pop()).toBe("");
    expect(lines).toHaveLength(count);
    expect(lines.every((line, i) => line === `line ${i} ${rest}`)).toBe(true);
    const sizes = logFiles(container).map((name) => statSync(join(container.paths.dir, name)).size);
    expect(sizes).toHaveLength(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024);
    expect((await textOf(logs(container, { tail: 2 }))).join("")).toBe(
      `stdout:line ${count - 2} ${rest}\nline ${count - 1} ${rest}\n`,
    );
  });

  test("a container whose output is not kept says so", async () => {
    const container = await bench.run({ Cmd: ["echo", "secret"] }, { LogConfig: { Type: "none" } });
    expect(() => logs(container)).toThrow("configured logging driver does not support reading");
    await bench.ended(container);
  });
});

describe("health of a container", () => {
  test("a check without an interval finds readiness within a second of it", async () => {
    const Healthcheck = { Test: ["CMD-SHELL", "ls /tmp/ready"] };
    const container = await bench.run({ Cmd: ["sh", "-c", "sleep 0.2; echo > /tmp/ready; sleep 1000"], Healthcheck });
    expect(container.state.health?.Status).toBe("starting");
    await until("healthy", () => container.state.health?.Status === "healthy");
    expect(container.state.health?.Log).toMatchObject([{ ExitCode: 0, Output: "/tmp/ready\n" }]);
    expect(bench.events.filter((event) => event.startsWith("health_status"))).toEqual(["health_status: healthy"]);
    expect(Date.now() - Date.parse(container.state.startedAt)).toBeLessThan(5000);
  });

  test("a check that hangs is ended with all it started", async () => {
    const Healthcheck = {
      Test: ["CMD-SHELL", "echo waiting; sleep 777"],
      Interval: 1e8,
      Timeout: 3e8,
      Retries: 1,
      StartInterval: 1e8,
    };
    const container = await bench.run({ Cmd: ["sleep", "1000"], Healthcheck });
    await until("unhealthy", () => container.state.health?.Status === "unhealthy");
    expect(container.state.health?.Log[0]).toMatchObject({
      ExitCode: -1,
      Output: "Health check exceeded timeout (300ms): waiting\n",
    });
  });
});
