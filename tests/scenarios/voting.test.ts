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

  test("the database survives down and up, its shutdown was clean", async () => {
    await workspace.ok([...compose, "stop", "db"], { env });
    expect((await workspace.run([...compose, "logs", "--no-color", "db"], { env })).stderr).toContain(
      "database system is shut down",
    );
    await workspace.ok([...compose, "down"], { env });
    await workspace.ok([...compose, "up", "-d", "--wait"], { env });
    expect(await result()).toBe("cats: 2\ndogs: 1\n");
  });

  test("down -v leaves nothing", async () => {
    await workspace.ok([...compose, "down", "-v"], { env });
    expect(await workspace.leaks()).toEqual([]);
  });
});
