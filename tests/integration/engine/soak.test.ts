/** Many containers one after the other: the last are as fast as the first, and the engine has not grown. TSCOMPOSE_SOAK: how many
 *  (1,000 at full size). Source: reliability.md REL-91. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";

const count = Number(process.env["TSCOMPOSE_SOAK"] ?? 40);
const part = Math.max(10, Math.floor(count / 10));

test(`${count} containers started and removed in sequence cost the engine nothing that lasts`, async () => {
  const engine = await EngineProcess.start();
  try {
    for (let i = 0; i < 10; i++) await oneLife(engine); // what is compiled and cached once
    const first = { memory: memoryOf(engine.pid), descriptors: descriptorsOf(engine.pid) };
    const times: number[] = [];
    const samples: number[] = [];
    for (let i = 0; i < count; i++) {
      if (i % part === 0) samples.push(memoryOf(engine.pid));
      const begin = performance.now();
      await oneLife(engine);
      times.push(performance.now() - begin);
    }
    const last = { memory: memoryOf(engine.pid), descriptors: descriptorsOf(engine.pid) };
    const [early, late] = [median(times.slice(0, part)), median(times.slice(-part))];
    console.info(
      `${count} containers: median of the first ${part} ${early.toFixed(0)} ms, of the last ${late.toFixed(0)} ms; ` +
        `engine ${samples.join(" ")} ${last.memory} MiB, ${first.descriptors} -> ${last.descriptors} descriptors`,
    );
    expect(late).toBeLessThan(early * 2.5); // the machine may be busier at one end
    expect(last.descriptors).toBeLessThanOrEqual(first.descriptors + 4);
    expect(last.memory).toBeLessThan(first.memory + 64);
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
  }
}, 1_200_000);

async function oneLife(engine: EngineProcess): Promise<void> {
  const id = await engine.run(["true"], { NetworkMode: "bridge" });
  const container = engine.docker.getContainer(id);
  expect((await container.wait()).StatusCode).toBe(0);
  await container.remove({ v: true });
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** MiB that the process has in memory. */
function memoryOf(pid: number): number {
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024);
}
