/** kill -9 of the command and of the engine at random moments of `up`: afterwards `down` leaves nothing, each time.
 *  TSCOMPOSE_KILLS: how many times each (default 8; the release run takes 100). TSCOMPOSE_SEED: which moments. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { finish, Workspace } from "../support/workspace.ts";

const kills = Number(process.env["TSCOMPOSE_KILLS"] ?? 8);
const seed = Number(process.env["TSCOMPOSE_SEED"] ?? 1);
/** mulberry32: small, seeded, good enough to pick moments. */
function random(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const composeFile = `services:
  a: {image: "busybox:latest", command: sleep 600, ports: ["127.0.0.1::80"], volumes: ["data:/data"], networks: [one, two]}
  b: {image: "busybox:latest", command: sleep 600, depends_on: [a], networks: [one]}
  c: {image: "busybox:latest", command: sleep 600, volumes: ["/anonymous"], networks: [two]}
  d: {image: "busybox:latest", command: sleep 600, depends_on: {c: {condition: service_healthy}}}
networks: {one: , two: }
volumes: {data: }
`.replace(
  'volumes: ["/anonymous"], networks: [two]',
  'volumes: ["/anonymous"], networks: [two], healthcheck: {test: "true", interval: 1s}',
);

describe("kill -9 at a random moment of up", () => {
  let workspace: Workspace;
  beforeEach(async () => {
    workspace = await Workspace.create({ "compose.yaml": composeFile });
    await workspace.loadBusybox();
  });
  afterEach(async () => await workspace.dispose());

  test.each(["command", "engine"] as const)(
    "of the %s: down leaves nothing, each time",
    async (victim) => {
      const next = random(seed + (victim === "engine" ? 1000 : 0));
      await workspace.ok(["up", "-d"]);
      await workspace.ok(["down", "-v", "-t", "0"]);
      const start = performance.now();
      await workspace.ok(["up", "-d"]);
      const upMs = performance.now() - start;
      await workspace.ok(["down", "-v", "-t", "0"]);
      const failures: unknown[] = [];
      for (let n = 0; n < kills; n++) {
        const delayMs = next() * upMs * 1.1;
        const child = workspace.start(["up", "-d"]);
        const ended = finish(child);
        await new Promise((wait) => setTimeout(wait, delayMs));
        const pid = victim === "engine" ? workspace.enginePid() : child.pid;
        if (pid !== undefined) {
          try {
            process.kill(pid, "SIGKILL");
          } catch {
            // it had ended
          }
        }
        await ended;
        await workspace.ok(["down", "-v", "-t", "0"]);
        const leaks = await workspace.leaks();
        const containers = (await workspace.ok(["ps", "-aq"])).trim();
        if (leaks.length > 0 || containers !== "")
          failures.push({ n, delayMs: Math.round(delayMs), leaks, containers });
      }
      expect(failures).toEqual([]);
    },
    60_000 + kills * 6_000,
  );
});
