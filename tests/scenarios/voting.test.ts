/** examples/voting: built from Dockerfiles: a real Redis, a real PostgreSQL, Python and PHP; a vote travels through all five services. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseImages } from "../support/base-images.ts";
import { eventually, freePort, repository, Workspace } from "../support/workspace.ts";

const compose = ["-f", join(repository, "examples/voting/compose.yaml"), "-p", "voting"];

describe("the voting application", () => {
  let workspace: Workspace;
  let env: Record<string, string>;

  beforeAll(async () => {
    const archives = baseImages(["base-redis", "base-python", "base-postgres", "base-php"]);
    workspace = await Workspace.create();
    env = { VOTE_PORT: String(await freePort()), RESULT_PORT: String(await freePort()) };
    for (const path of archives) await workspace.ok(["load", "--quiet", "--input", path]);
  });
  afterAll(async () => await workspace.dispose());

  const result = async (): Promise<string> => await (await fetch(`http://127.0.0.1:${env["RESULT_PORT"]}/`)).text();
  const vote = async (choice: string): Promise<number> =>
    (
      await fetch(`http://127.0.0.1:${env["VOTE_PORT"]}/`, {
        method: "POST",
        body: new URLSearchParams({ vote: choice }),
      })
    ).status;

  test("up -d --wait builds the images and brings all five services up, healthy where they have a healthcheck", async () => {
    await workspace.ok([...compose, "up", "-d", "--wait"], { env });
    const services = (await workspace.ok([...compose, "ps", "--services"], { env })).trim().split("\n");
    expect(services.toSorted()).toEqual(["db", "redis", "result", "vote", "worker"]);
  });

  test("a vote over HTTP appears in the result page", async () => {
    expect(await vote("cats")).toBe(200);
    expect(await vote("dogs")).toBe(200);
    expect(await vote("cats")).toBe(200);
    await eventually(async () => ((await result()) === "cats: 2\ndogs: 1\n" ? true : undefined));
  });

  test("the database survives down and up, its shutdown under load was clean", async () => {
    const bench =
      "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; export PGPASSWORD=vote; cd /tmp; b='pgbench -h 127.0.0.1 -U vote'";
    const inDb = (line: string): readonly string[] => [...compose, "exec", "-T", "db", "sh", "-c", `${bench}; ${line}`];
    await workspace.ok(inDb("$b -i -q vote"), { env });
    const load = workspace.run(inDb("$b -c 4 -T 60 vote"), { env });
    const busy = "psql -h 127.0.0.1 -U vote -Atc 'select count(*) > 20 from pgbench_history' vote";
    await eventually(async () => ((await workspace.ok(inDb(busy), { env })).trim() === "t" ? true : undefined));
    await workspace.ok([...compose, "stop", "db"], { env });
    expect((await load).exitCode).not.toBe(0); // it was cut off
    const log = (await workspace.run([...compose, "logs", "--no-color", "db"], { env })).stderr;
    expect(log).toMatch(/received fast shutdown request[^]*database system is shut down/);
    await workspace.ok([...compose, "down"], { env });
    await workspace.ok([...compose, "up", "-d", "--wait"], { env });
    expect(await result()).toBe("cats: 2\ndogs: 1\n");
  });

  test("down -v leaves nothing", async () => {
    await workspace.ok([...compose, "down", "-v"], { env });
    expect(await workspace.leaks()).toEqual([]);
  });
});
