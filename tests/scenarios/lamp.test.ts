/** examples/lamp: Apache, PHP and MariaDB built from Dockerfiles; what a guest writes is in the database and on the page. */
import { execFileSync } from "node:child_process";
import { createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Docker } from "../../src/client/docker.ts";
import { baseImages } from "../support/base-images.ts";
import { freePort, repository, Workspace } from "../support/workspace.ts";

const compose = ["-f", join(repository, "examples/lamp/compose.yaml"), "-p", "lamp"];

/** Which of the texts are in the bytes. */
type Look = (content: Buffer, place: string) => void;

function lookInFiles(folder: string, look: Look): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) lookInFiles(path, look);
    else if (entry.isFile()) look(readFileSync(path), path);
  }
}

/** Layers unpacked, configurations, manifests, and what the engine tells of the images. */
async function lookInImages(workspace: Workspace, images: readonly string[], look: Look): Promise<void> {
  const docker = new Docker({ socketPath: workspace.socket });
  for (const image of images) {
    const folder = mkdtempSync(join(workspace.root, "saved-"));
    await pipeline(await docker.getImage(image).get(), createWriteStream(join(folder, "image.tar")));
    execFileSync("tar", ["-xf", join(folder, "image.tar"), "-C", folder]);
    rmSync(join(folder, "image.tar"));
    lookInFiles(folder, (content) => {
      const isPacked = content[0] === 0x1f && content[1] === 0x8b;
      const isTar = isPacked || content.subarray(257, 262).toString("latin1") === "ustar";
      look(isPacked ? gunzipSync(content) : content, `${image}: ${isTar ? "layer" : "document"}`);
    });
    look(Buffer.from(JSON.stringify(await docker.getImage(image).history())), `${image}: history`);
    look(Buffer.from(JSON.stringify(await docker.getImage(image).inspect())), `${image}: inspect`);
    rmSync(folder, { recursive: true, force: true });
  }
  docker.close();
}

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

  test("the password is in no image, no history, no layer and no cache", async () => {
    const password = readFileSync(join(repository, "examples/lamp/db-password.txt"), "utf8").trim();
    // The last two are where a password would be that a build was given: the search finds them.
    const places = new Map<string, string[]>([password, "Visitors", "ServerName guestbook"].map((text) => [text, []]));
    const look: Look = (content, place) => {
      for (const [text, found] of places) if (content.includes(text)) found.push(place);
    };
    for (const name of ["images", "l", "build"]) lookInFiles(join(workspace.dataRoot, name), look);
    await lookInImages(workspace, ["lamp-web", "lamp-db"], look);
    look(Buffer.from(workspace.engineLog()), "engine.log");
    expect(places.get("Visitors")).toEqual(
      expect.arrayContaining([expect.stringMatching(/\/l\/.*title\.inc$/), "lamp-web: layer"]),
    );
    expect(places.get("ServerName guestbook")).toEqual(
      expect.arrayContaining([expect.stringMatching(/\/images\/blobs\//), "lamp-web: document", "lamp-web: history"]),
    );
    expect(places.get(password)).toEqual([]);
  });

  test("down -v leaves nothing", async () => {
    await workspace.ok([...compose, "down", "-v"], { env });
    expect(await workspace.leaks()).toEqual([]);
  });
});
