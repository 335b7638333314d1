/** examples/lamp: Apache, PHP and MariaDB built from Dockerfiles; what a guest writes is in the database and on the page. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseImages } from "../support/base-images.ts";
import { freePort, repository, Workspace } from "../support/workspace.ts";

const compose = ["-f", join(repository, "examples/lamp/compose.yaml"), "-p", "lamp"];

describe("the guest book", () => {
  let workspace: Workspace;
  let env: Record<string, string>;

  beforeAll(async () => {
    const archives = baseImages(["base-php", "base-mariadb"]);
    workspace = await Workspace.create();
    env = { LAMP_PORT: String(await freePort()), SITE_TITLE: "It's <ours>" };
    for (const path of archives) await workspace.ok(["load", "--quiet", "--input", path]);
  });
  afterAll(async () => await workspace.dispose());

  const page = async (entry?: string): Promise<string> => {
    const body = entry === undefined ? {} : { method: "POST", body: new URLSearchParams({ entry }) };
    const answer = await fetch(`http://127.0.0.1:${env["LAMP_PORT"]}/`, body);
    expect(answer.status).toBe(200);
    return await answer.text();
  };

  test("up -d --wait builds Apache with PHP and MariaDB, and both become healthy", async () => {
    await workspace.ok([...compose, "up", "-d", "--wait"], { env });
    expect((await workspace.ok([...compose, "ps", "--services"], { env })).trim().split("\n").toSorted()).toEqual([
      "db",
      "web",
    ]);
  });

  test("the page has the title that the build was given, and what guests wrote", async () => {
    expect(await page()).toContain("<h1>It&#039;s &lt;ours&gt;</h1>");
    await page("first <b>");
    expect(await page("second")).toMatch(/first &lt;b&gt;[^]*second/);
  });

  test("another title builds again and recreates the page only; the entries stay", async () => {
    env = { ...env, SITE_TITLE: "Visitors" };
    await workspace.ok([...compose, "up", "-d", "--build", "--wait"], { env });
    const text = await page();
    expect(text).toContain("<h1>Visitors</h1>");
    expect(text).toMatch(/first[^]*second/);
  });

  test("the password is in no image", async () => {
    const history = await workspace.ok([...compose, "run", "--rm", "-T", "--no-deps", "--entrypoint", "env", "db"], {
      env,
    });
    expect(history).not.toContain("guest-book-password");
  });

  test("down -v leaves nothing", async () => {
    await workspace.ok([...compose, "down", "-v"], { env });
    expect(await workspace.leaks()).toEqual([]);
  });
});
