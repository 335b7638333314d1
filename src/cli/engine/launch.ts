/** Starts the engine of a run root and waits until it answers. Several commands may do so at once: one engine wins the lock,
 *  the others' commands wait for it. */
import { existsSync, readFileSync, renameSync, statSync, watch } from "node:fs";
import { TscomposeError, errnoOf, isTscomposeError } from "../../errors.ts";
import { startDetached } from "../../host/detached-process.ts";
import { announceVariable, readAnnouncement } from "./announcement.ts";
import { engineAnswers } from "./ensure.ts";
import { engineArgv, engineEnvironment } from "./reexec.ts";
import { prepareRoots } from "./roots.ts";
import type { EngineRoots, Environment } from "./roots.ts";
import { isLocked } from "./running-engine.ts";

const startDeadlineMs = 60_000;
const logCapBytes = 10 * 1024 * 1024;

export async function launchEngine(roots: EngineRoots, env: Environment, signal?: AbortSignal): Promise<void> {
  prepareRoots(roots);
  const timeout = AbortSignal.timeout(startDeadlineMs);
  const deadline = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  while (!deadline.aborted) {
    if (!isLocked(roots.lockPath)) {
      if (await start(roots, env, deadline)) return;
    } else if (await engineAnswers(roots.socketPath)) return;
    else await changed(roots.runRoot, deadline);
  }
  if (signal?.aborted === true) throw new TscomposeError("aborted", "waiting for the engine was aborted");
  throw new TscomposeError("engine/failed", `the engine did not start within ${startDeadlineMs / 1000} seconds`, {
    hint: `look into ${roots.logPath}`,
  });
}

/** True: it answers. False: another one was faster. */
async function start(roots: EngineRoots, env: Environment, deadline: AbortSignal): Promise<boolean> {
  const entry = env["TSCOMPOSE_ENTRY"] ?? process.argv[1];
  if (entry === undefined) throw new Error("this program does not know its own file");
  rotateLog(roots.logPath);
  const logStart = existsSync(roots.logPath) ? statSync(roots.logPath).size : 0;
  try {
    const { announced } = await startDetached(engineArgv(process.execPath, entry), {
      logPath: roots.logPath,
      env: { ...engineEnvironment(env), [announceVariable]: "1" },
      signal: deadline,
    });
    if (readAnnouncement(await announced) === true) return true;
  } catch (error) {
    if (isTscomposeError(error, "engine/locked")) return false;
    if (errnoOf(error) !== "ENOENT") throw error;
    throw new TscomposeError("host/unsupported", "the program unshare is not installed", {
      cause: error,
      hint: "install it with `apt-get install util-linux`",
    });
  }
  if (deadline.aborted) return false;
  throw new TscomposeError("engine/failed", `the engine died while it started: ${logTail(roots.logPath, logStart)}`, {
    hint: `\`tscompose doctor\` checks what it needs; its log is ${roots.logPath}`,
  });
}

/** The last lines that were written after `from`. */
function logTail(path: string, from: number): string {
  const lines = readFileSync(path).subarray(from).toString("utf8").trim().split("\n").slice(-8);
  return lines.join("\n") || "it wrote nothing to its log";
}

function rotateLog(path: string): void {
  if (existsSync(path) && statSync(path).size > logCapBytes) renameSync(path, `${path}.1`);
}

/** Resolves when something in the folder changes, and now and then anyway: the release of a lock changes nothing there. */
function changed(directory: string, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(directory);
    const timer = setTimeout(finish, 50);
    function finish(): void {
      clearTimeout(timer);
      watcher.close();
      resolve();
    }
    watcher.once("change", finish);
    watcher.once("error", finish);
    deadline.addEventListener("abort", finish, { once: true });
  });
}
