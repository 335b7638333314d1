/** Fifty services: all come up, each finds the others by name, down leaves nothing. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workspace } from "../support/workspace.ts";

const count = 50;
const names = Array.from({ length: count }, (_, n) => `s${n}`);
const composeFile = `services:\n${names.map((name) => `  ${name}: {image: "busybox:latest", command: sleep 600}\n`).join("")}`;

describe("fifty services", () => {
  let workspace: Workspace;
  beforeAll(async () => {
    workspace = await Workspace.create({ "compose.yaml": composeFile });
    await workspace.loadBusybox();
  });
  afterAll(async () => await workspace.dispose());

  test("all run", async () => {
    await workspace.ok(["up", "-d"]);
    expect((await workspace.ok(["ps", "-q"])).trim().split("\n")).toHaveLength(count);
  });

  test("one finds every other by name, at an address of its own", async () => {
    const script = names
      .map((name) => `nslookup -type=a ${name} | tail -n +3 | sed -n 's/^Address[^:]*: //p'`)
      .join("; ");
    const addresses = (await workspace.ok(["exec", "-T", "s49", "sh", "-c", script])).trim().split(/\s+/);
    expect(addresses).toHaveLength(count);
    expect(new Set(addresses).size).toBe(count);
  });

  test("and every other finds the first", async () => {
    const found = await Promise.all(
      names.slice(1).map(async (name) => await workspace.ok(["exec", "-T", name, "nslookup", "-type=a", "s0"])),
    );
    expect(new Set(found.map((text) => /Address[^:]*: (\d+\.\d+\.\d+\.\d+)\s*$/.exec(text.trim())?.[1])).size).toBe(1);
  });

  test("down leaves nothing", async () => {
    await workspace.ok(["down", "-t", "0"]);
    expect(await workspace.leaks()).toEqual([]);
  });
});
