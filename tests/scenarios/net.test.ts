/** `tscompose net`: what becomes of the software when services do not reach each other? Seen from inside, in ps, in the events, through
 *  an engine that is killed, and gone with down. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, Workspace } from "../support/workspace.ts";

const composeFile = `services:
  web: {image: "busybox:latest", command: sleep 100000, stop_grace_period: 0s}
  api: {image: "busybox:latest", command: sleep 100000, stop_grace_period: 0s}
  db: {image: "busybox:latest", command: sleep 100000, stop_grace_period: 0s, hostname: db}
`;

describe("partitions and cuts", () => {
  let workspace: Workspace;
  beforeAll(async () => {
    workspace = await Workspace.create({ "compose.yaml": composeFile });
    await workspace.loadBusybox();
    await workspace.ok(["up", "-d"]);
  });
  afterAll(async () => await workspace.dispose());

  /** Whether a packet gets through. */
  const reaches = async (from: string, to: string): Promise<boolean> =>
    (await workspace.run(["exec", "-T", from, "ping", "-c", "1", "-W", "1", to])).exitCode === 0;
  const statusOf = async (service: string): Promise<string> =>
    String((JSON.parse(await workspace.ok(["ps", "--format", "json", service])) as { readonly Status: string }).Status);

  test("a dry run changes nothing, and an unknown service is refused", async () => {
    expect(await workspace.ok(["net", "partition", "web", "db", "--dry-run"])).toBe(
      "web would be partitioned from db\n",
    );
    expect(await reaches("web", "db")).toBe(true);
    const { exitCode, stderr } = await workspace.run(["net", "cut", "nobody"]);
    expect([exitCode === 0, stderr.includes("no such service: nobody")]).toEqual([false, true]);
    expect((await workspace.run(["net", "heal", "web"])).stderr).toContain("nothing to heal: web");
  });

  test("a partition separates two services, ps and the events tell, and a container that is new is separated too", async () => {
    const since = String(Math.floor(Date.now() / 1000) - 1);
    expect(await workspace.ok(["net", "partition", "web", "db"])).toBe("web is partitioned from db\n");
    expect([await reaches("web", "db"), await reaches("db", "web")]).toEqual([false, false]);
    expect([await reaches("web", "api"), await reaches("api", "db")]).toEqual([true, true]);
    expect(await statusOf("web")).toMatch(/^Up .* \(partitioned from db\)$/);
    expect(await statusOf("db")).toMatch(/\(partitioned from web\)$/);
    expect(await statusOf("api")).not.toContain("(");
    await workspace.ok(["up", "-d", "--force-recreate", "--no-deps", "db"]);
    expect(await reaches("web", "db")).toBe(false);
    const listed = await workspace.ok(["net", "ls", "--format", "json"]);
    expect(JSON.parse(listed)).toMatchObject({ Kind: "partition", Services: ["web", "db"] });
    const { Docker } = await import("../../src/client/docker.ts");
    const docker = new Docker({ socketPath: workspace.socket });
    const actions: string[] = [];
    const until = String(Math.floor(Date.now() / 1000) + 1);
    for await (const { Type, Action, Actor } of docker.events({ since, until })) {
      if (Type === "network" && Action === "partition")
        actions.push(`${Actor.Attributes["a"]} ${Actor.Attributes["b"]}`);
    }
    docker.close();
    expect(actions).toEqual(["web db"]);
    const again = await workspace.run(["net", "partition", "db", "web"]);
    expect(again.stderr).toContain("is partitioned already");
  });

  test("a killed engine's successor keeps it and says so, and heal ends it", async () => {
    await workspace.ok(["net", "cut", "api"]);
    const pid = workspace.enginePid() ?? 0;
    process.kill(pid, "SIGKILL");
    await eventually(() => workspace.enginePid() !== pid || !alive(pid) || undefined);
    expect(await statusOf("api")).toMatch(/\(cut off\)$/);
    expect(workspace.engineLog()).toContain("on purpose since");
    expect([await reaches("web", "db"), await reaches("web", "api"), await reaches("api", "web")]).toEqual([
      false,
      false,
      false,
    ]);
    expect(await workspace.ok(["net", "heal", "web", "db"])).toBe("web partitioned from db: healed\n");
    expect([await reaches("web", "db"), await reaches("web", "api")]).toEqual([true, false]);
    expect(await workspace.ok(["net", "heal"])).toBe("api cut off: healed\n");
    expect(await reaches("web", "api")).toBe(true);
    expect(await workspace.ok(["net", "ls"])).toMatch(/^ID\s+KIND\s+SERVICES\s+CONTAINERS\s+CREATED\n$/);
  });

  test("down takes what is left of it away", async () => {
    await workspace.ok(["net", "cut", "web"]);
    await workspace.ok(["down"]);
    await workspace.ok(["up", "-d"]);
    expect(await reaches("web", "db")).toBe(true);
    await workspace.ok(["down"]);
    expect(await workspace.leaks()).toEqual([]);
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
