/** Docker's own programs for tests: `TSCOMPOSE_PEERS` (a folder of programs), else ../shared/peers, else those on PATH. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { repository } from "./workspace.ts";

const starter = resolve(repository, "../shared/peers/peers");

/** Folder with docker, docker-compose, dockerd; undefined: there is no peer, say "not run: no peer". */
export function peerPrograms(): string | undefined {
  const given = process.env["TSCOMPOSE_PEERS"];
  if (given !== undefined && existsSync(join(given, "docker-compose"))) return given;
  if (existsSync(starter)) {
    const cache = join(repository, ".cache/peers");
    mkdirSync(cache, { recursive: true });
    return execFileSync(starter, ["unpack", cache], { encoding: "utf8" }).trim();
  }
  const found = spawnSync("sh", ["-c", "command -v docker-compose"], { encoding: "utf8" }).stdout.trim();
  return found === "" ? undefined : resolve(found, "..");
}

/** A Docker Engine of its own, in a network namespace of its own if one is named; undefined: there is none to start. Its
 *  programs are in `directory`/bin. */
export function startPeerEngine(
  directory: string,
  netns?: string,
): { readonly host: string; stop(): void } | undefined {
  if (!existsSync(starter)) return undefined;
  const output = execFileSync(starter, ["start", directory, ...(netns === undefined ? [] : [netns])], {
    encoding: "utf8",
  });
  const host = output.trim().split("\n").at(-1) ?? "";
  return { host, stop: () => stopPeerEngine(directory) };
}

/** Also one that another process has started, or half of one. */
export function stopPeerEngine(directory: string): void {
  execFileSync(starter, ["stop", directory], { stdio: "ignore" });
}
