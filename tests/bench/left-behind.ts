/** What a bench that runs has started, in `.cache/bench/running/`, so that it is taken away when the bench is told to end, and by the next
 *  bench where this one was killed: engines, their network namespaces and folders. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identifyProcess, isAlive, type ProcessIdentity } from "../../src/host/process-identity.ts";
import { stopPeerEngine } from "../support/peers.ts";
import { repository } from "../support/workspace.ts";

/** One started engine. */
type Started =
  | { readonly kind: "peer"; readonly directory: string }
  | { readonly kind: "tscompose"; readonly dataRoot: string; readonly runRoot: string; readonly root: string };

interface Running {
  readonly by: ProcessIdentity;
  /** Process numbers mean something within one namespace. */
  readonly pids: string;
  readonly started: readonly Started[];
}

const folder = join(repository, ".cache/bench/running");
const own: Started[] = [];

const pidNamespace = (): string => readlinkSync("/proc/self/ns/pid");

function save(): void {
  const path = join(folder, `${process.pid}.json`);
  const by = identifyProcess(process.pid);
  if (own.length === 0 || by === undefined) return rmSync(path, { force: true });
  mkdirSync(folder, { recursive: true });
  const running: Running = { by, pids: pidNamespace(), started: own };
  writeFileSync(path, JSON.stringify(running));
}

/** Call before it is started. @returns what to call when it has been taken away */
export function remember(started: Started): () => void {
  own.push(started);
  save();
  return () => {
    own.splice(own.indexOf(started), 1);
    save();
  };
}

function takeAway(started: Started): void {
  if (started.kind === "peer") {
    if (!existsSync(started.directory)) return;
    stopPeerEngine(started.directory);
    spawnSync("umount", ["--lazy", join(started.directory, "run")]);
    rmSync(started.directory, { recursive: true, force: true });
    return;
  }
  const { dataRoot, runRoot, root } = started;
  if (!existsSync(root)) return;
  const env = { ...process.env, TSCOMPOSE_DATA_ROOT: dataRoot, TSCOMPOSE_RUN_ROOT: runRoot };
  const socket = join(runRoot, "docker.sock");
  const list = spawnSync("curl", ["-s", "--unix-socket", socket, "http://d/containers/json?all=1"]).stdout.toString();
  for (const [, id] of list.matchAll(/"Id":"([0-9a-f]{64})"/g))
    spawnSync("curl", ["-s", "-X", "DELETE", "--unix-socket", socket, `http://d/containers/${id}?force=1&v=1`]);
  spawnSync(join(repository, "bin/tscompose"), ["engine", "stop"], { env });
  for (const path of [root, runRoot]) rmSync(path, { recursive: true, force: true });
}

/** What this bench has started. */
export function clearOwn(): void {
  for (const started of own.splice(0).toReversed()) takeAway(started);
  save();
}

/** What benches left that were killed. @returns how many engines that were */
export function clearLeftBehind(): number {
  let count = 0;
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const { by, pids, started } = JSON.parse(readFileSync(join(folder, name), "utf8")) as Running;
    if (pids !== pidNamespace() || isAlive(by)) continue;
    for (const one of started.toReversed()) takeAway(one);
    count += started.length;
    rmSync(join(folder, name));
  }
  return count;
}
