// Makes V8's code caches beside the bundles: runs commands that people type all day against a server that knows one container, so
// that what they use is compiled already. A cache holds what has been compiled when it is written, and what the cache before
// it held: each command adds its functions.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const example = ["-f", "examples/voting/compose.yaml"];
const commands = [
  ["version"],
  ["--help"],
  ...["config", "up -d", "ps", "exec -T vote true", "logs", "down"].map((line) => [...example, ...line.split(" ")]),
  ...["ps", "exec -T vote true", "logs vote"].map((line) => ["-p", "voting", ...line.split(" ")]),
  ["ls"],
  ["engine", "serve", "--help"],
];

/** @param root the repository, with a slash at its end */
export async function writeCodeCaches(root) {
  const work = mkdtempSync(join(tmpdir(), "build-"));
  const server = createServer(answer).on("upgrade", (_request, socket) => {
    socket.end("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\x01\0\0\0\0\0\0\x01a");
  });
  await new Promise((ready) => server.listen(join(work, "docker.sock"), ready));
  try {
    for (const command of commands) await run(root, command, work);
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(work, { recursive: true });
  }
}

/** What a command prints and how it ends is no matter, but the first must run. */
async function run(root, command, work) {
  const { NODE_EXTRA_CA_CERTS: _certificates, ...env } = process.env;
  const child = spawn(process.execPath, [`${root}bin/tscompose.cjs`, ...command], {
    cwd: root,
    env: { ...env, TSCOMPOSE_WRITE_CODE_CACHE: "1", TSCOMPOSE_RUN_ROOT: work },
    stdio: "ignore",
    timeout: 10_000,
  });
  const [code] = await once(child, "close");
  if (command[0] === "version" && code !== 0)
    throw new Error("the bundle does not run: try `node bin/tscompose.cjs version`");
}

const container = {
  Id: "0".repeat(64),
  Names: ["/voting-vote-1"],
  Image: "vote:latest",
  ImageID: `sha256:${"0".repeat(64)}`,
  Command: "vote",
  Created: 1,
  State: "running",
  Status: "Up 2 minutes (healthy)",
  Ports: [{ IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" }],
  Labels: {
    "com.docker.compose.project": "voting",
    "com.docker.compose.service": "vote",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
    "com.docker.compose.config-hash": "0",
  },
  NetworkSettings: { Networks: { voting_default: { NetworkID: "0", Aliases: ["vote"] } } },
  Mounts: [],
};

function answer(request, response) {
  request.resume();
  const path = (request.url ?? "").replace(/\?.*/, "");
  const list = request.method === "GET" && /\/(json|networks|volumes)$/.test(path);
  const value = path.endsWith("/containers/json")
    ? [container]
    : list && !/[0-9a-f]{12}/.test(path)
      ? []
      : { Id: "0", Volumes: [], ExitCode: 0, Running: false, State: container.State, Config: {}, HostConfig: {} };
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}
