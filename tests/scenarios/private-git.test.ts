/** Contexts in repositories that ask for a password: a real git server behind HTTP authentication, with a submodule on the same server.
 *  Source: security.md B-14, B-17. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Docker } from "../../src/client/docker.ts";
import { Workspace } from "../support/workspace.ts";

const token = "token-of-a-private-repository";
const backend = "/usr/lib/git-core/git-http-backend";

let workspace: Workspace;
let server: Server;
let host: string;
let refused = 0;

function git(cwd: string, ...args: readonly string[]): string {
  const settings = ["user.name=t", "user.email=t@t", "init.defaultBranch=main", "protocol.file.allow=always"];
  const env = { PATH: process.env["PATH"], HOME: workspace.root };
  const argv = [...settings.flatMap((setting) => ["-c", setting]), ...args];
  return execFileSync("git", argv, { cwd, encoding: "utf8", env, stdio: ["ignore", "pipe", "ignore"] }).trim();
}

function commit(name: string, files: Readonly<Record<string, string>>): string {
  const at = join(workspace.root, "repos", name);
  mkdirSync(at, { recursive: true });
  if (!existsSync(join(at, ".git"))) git(at, "init", "-q");
  for (const [path, content] of Object.entries(files)) writeFileSync(join(at, path), content);
  git(at, "add", ".");
  git(at, "commit", "-q", "-m", "x");
  return at;
}

/** CGI, as git-http-backend(1) wants it. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const [, password] = Buffer.from(
    (request.headers.authorization ?? "").replace("basic ", "").replace("Basic ", ""),
    "base64",
  )
    .toString()
    .split(":");
  if (password !== token) {
    refused += 1;
    response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
    return;
  }
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://x");
  const child = spawn(backend, {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      PATH: process.env["PATH"],
      GIT_PROJECT_ROOT: join(workspace.root, "repos"),
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: pathname,
      QUERY_STRING: searchParams.toString(),
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
  });
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.once("close", () => {
    const answer = Buffer.concat(chunks);
    const end = answer.indexOf("\r\n\r\n");
    const headers = answer.subarray(0, end).toString("latin1").split("\r\n");
    const fields = headers.map((line) => line.split(": ") as [string, string]);
    const status = fields.find(([name]) => name === "Status")?.[1] ?? "200";
    for (const [name, value] of fields) if (name !== "Status") response.setHeader(name, value);
    response.writeHead(Number.parseInt(status, 10)).end(answer.subarray(end + 4));
  });
}

beforeAll(async () => {
  workspace = await Workspace.create();
  await workspace.loadBusybox();
  server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sub = commit("sub", { part: "part\n" });
  const main = commit("main", { Dockerfile: "FROM busybox\nCOPY . /src\nRUN cat /src/module/part > /part\n" });
  git(main, "submodule", "add", "-q", sub, "module");
  const modules = readFileSync(join(main, ".gitmodules"), "utf8").replace(sub, `http://${host}/sub/.git`);
  commit("main", { ".gitmodules": modules });
  const evil = commit("evil", { Dockerfile: "FROM busybox\nCOPY . /src\n" });
  git(evil, "submodule", "add", "-q", sub, "module");
  commit("evil", { ".gitmodules": `[submodule "module"]\n\tpath = module\n\turl = file://${sub}\n` });
}, 60_000);
afterAll(async () => {
  for (const project of ["token", "url"]) await workspace.run(["-p", project, "down"]);
  server.closeAllConnections();
  server.close();
  expect(await workspace.leaks()).toEqual([]);
  await workspace.dispose();
});

/** Files of the engine that have the token in them, and what it tells of the image. */
async function traces(image: string): Promise<readonly string[]> {
  const docker = new Docker({ socketPath: workspace.socket });
  const archive = await docker.modem.collect(await docker.getImage(image).get());
  const told = {
    archive: archive.toString("latin1"),
    history: JSON.stringify(await docker.getImage(image).history()),
    usage: JSON.stringify(await docker.df()),
    log: workspace.engineLog(),
  };
  docker.close();
  const files = readdirSync(workspace.dataRoot, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(token));
  return [...files, ...Object.entries(told).flatMap(([name, text]) => (text.includes(token) ? [name] : []))];
}

const secrets = `
    network_mode: none
    build:
      context: CONTEXT
      secrets: [GIT_AUTH_TOKEN]
secrets:
  GIT_AUTH_TOKEN: {environment: GIT_TOKEN}
`;

test("B-17 a token opens the repository and its submodule, and is kept nowhere", async () => {
  workspace.write({ "compose.yaml": `services:\n  web:${secrets.replace("CONTEXT", `http://${host}/main/.git`)}` });
  await workspace.ok(["-p", "token", "build"], { env: { GIT_TOKEN: token } });
  expect(await workspace.ok(["-p", "token", "run", "--rm", "-T", "--quiet", "web", "cat", "/part"])).toBe("part\n");
  expect(await traces("token-web")).toEqual([]);
});

test("B-17 a password in the URL opens it too, and is kept nowhere", async () => {
  const context = `http://me:${token}@${host}/main/.git`;
  workspace.write({ "compose.yaml": `services: {web: {network_mode: none, build: {context: "${context}"}}}` });
  await workspace.ok(["-p", "url", "build"]);
  expect(await workspace.ok(["-p", "url", "run", "--rm", "-T", "--quiet", "web", "cat", "/part"])).toBe("part\n");
  expect(await traces("url-web")).toEqual([]);
});

test("without either the failure names the repository, and nothing is asked", async () => {
  workspace.write({ "compose.yaml": `services: {web: {build: "http://${host}/main/.git"}}` });
  const before = refused;
  const { exitCode, stderr } = await workspace.run(["-p", "none", "build"]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`cannot fetch http://${host}/main/.git`);
  expect(refused).toBeGreaterThan(before);
});

test("B-14 a submodule that is a folder of the machine is not taken", async () => {
  const context = `http://me:${token}@${host}/evil/.git`;
  workspace.write({ "compose.yaml": `services: {web: {network_mode: none, build: {context: "${context}"}}}` });
  const { exitCode, stderr } = await workspace.run(["-p", "evil", "build"]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("'file' not allowed");
  expect(stderr).not.toContain(token);
});
