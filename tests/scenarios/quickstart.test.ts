/** examples/quickstart, as `npm run demo` runs it: two services that talk by name, a published port, a volume, a gate. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, repository, Workspace } from "../support/workspace.ts";

describe("the quickstart", () => {
  let workspace: Workspace;
  let env: Record<string, string>;
  const visit = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${env["QUICKSTART_PORT"]}/cgi-bin/visit`)).text();

  beforeAll(async () => {
    // "true" stands for the command that loads: only the archive is wanted here.
    execFileSync(join(repository, "examples/quickstart/make-images"), ["true"]);
    workspace = await Workspace.create();
    cpSync(join(repository, "examples/quickstart"), workspace.project, { recursive: true });
    env = { QUICKSTART_PORT: String(await freePort()) };
    await workspace.ok(["load", "--quiet", "--input", join(repository, ".cache/images/quickstart.tar")]);
  });
  afterAll(async () => await workspace.dispose());

  test("up -d --wait: the page answers, having asked the other service by name", async () => {
    await workspace.ok(["up", "-d", "--wait"], { env });
    expect(await visit()).toMatch(/^Hello from tscompose\nvisits: 1\n/);
    expect(await visit()).toContain("visits: 2");
  });

  test("up -d again: nothing is recreated", async () => {
    const ids = await workspace.ok(["ps", "-q"], { env });
    await workspace.ok(["up", "-d"], { env });
    expect(await workspace.ok(["ps", "-q"], { env })).toBe(ids);
  });

  test("a changed environment: that service alone is recreated, the volume keeps the count", async () => {
    const store = await workspace.ok(["ps", "-q", "store"], { env });
    const web = await workspace.ok(["ps", "-q", "web"], { env });
    await workspace.ok(["up", "-d", "--wait"], { env: { ...env, GREETING: "Moin" } });
    expect(await workspace.ok(["ps", "-q", "store"], { env })).toBe(store);
    expect(await workspace.ok(["ps", "-q", "web"], { env })).not.toBe(web);
    expect(await visit()).toMatch(/^Moin\nvisits: 3\n/);
  });

  test("exec: the limits of the file are the kernel's", async () => {
    const read = async (command: string): Promise<string> =>
      (await workspace.ok(["exec", "-T", "store", "sh", "-c", command], { env })).trim();
    const memory = existsSync("/sys/fs/cgroup/memory") ? "memory/memory.limit_in_bytes" : "memory.max";
    expect(
      await read(`cat /sys/fs/cgroup/${memory} 2>/dev/null || cat /sys/fs/cgroup/memory/*/memory.limit_in_bytes`),
    ).toBe("67108864");
  });

  test("logs: what the services said, by name; what they said on stderr comes on stderr", async () => {
    const outcome = await workspace.run(["logs", "--no-color", "web"], { env });
    expect(outcome.stderr).toMatch(/^web-1 +\| .*url:\/cgi-bin\/visit$/m);
    expect(outcome).toMatchObject({ exitCode: 0, stdout: "" });
  });

  test("down keeps the volume, down -v takes it away; nothing is left in the kernel", async () => {
    await workspace.ok(["down"], { env });
    await workspace.ok(["up", "-d", "--wait"], { env });
    expect(await visit()).toContain("visits: 4");
    await workspace.ok(["down", "-v"], { env });
    await workspace.ok(["up", "-d", "--wait"], { env });
    expect(await visit()).toContain("visits: 1");
    await workspace.ok(["down", "-v"], { env });
    expect(await workspace.leaks()).toEqual([]);
  });
});
