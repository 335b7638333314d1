/** The life of the engine process: lock, engine, socket, then wait for a signal or for nothing to be left to do. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer } from "../../api/server.ts";
import type { ApiServer } from "../../api/server.ts";
import type { Engine } from "../../engine/engine.ts";
import { TscomposeError, errorMessage } from "../../errors.ts";
import { sealDescriptors } from "../../host/command.ts";
import { acquireLock } from "../../host/lock-file.ts";
import type { LockFile } from "../../host/lock-file.ts";
import { identifyProcess } from "../../host/process-identity.ts";
import { createAnnouncer } from "./announcement.ts";
import { readIdleMs, watchIdle } from "./idle.ts";
import { prepareRoots, resolveRoots } from "./roots.ts";
import type { EngineRoots, Environment } from "./roots.ts";

export interface ServeOptions {
  readonly env: Environment;
  readonly createEngine: (roots: EngineRoots) => Promise<Engine>;
  /** One line for the engine's log. */
  readonly log: (line: string) => void;
}

/** Serves until SIGTERM, SIGINT or idleness; containers go on. Resolves once everything is closed.
 *  @throws what keeps it from starting, after telling whoever waits for it. */
export async function serveEngine(options: ServeOptions): Promise<void> {
  sealDescriptors();
  const told = signalled();
  const announce = createAnnouncer(options.env);
  const undo: (() => Promise<void> | void)[] = [];
  try {
    const roots = resolveRoots(options.env);
    const idleMs = readIdleMs(options.env);
    prepareRoots(roots);
    process.umask(0o022);
    // Away from where the user was, which would be held; and conmon 2.1 leaves an empty file `oom` where it was started.
    process.chdir(roots.runRoot);
    undo.push(() => rmSync(join(roots.runRoot, "oom"), { force: true }));
    const lock = takeLock(roots);
    undo.push(() => lock.release());
    writeFileSync(roots.pidPath, `${Object.values(identifyProcess(process.pid) ?? {}).join(" ")}\n`, { mode: 0o644 });
    undo.push(() => rmSync(roots.pidPath, { force: true }));
    const engine = await options.createEngine(roots);
    undo.push(() => engine.close());
    const server = createServer(engine);
    await server.listen(roots.socketPath);
    undo.push(() => server.close());
    announce();
    options.log(`listening on ${roots.socketPath}, pid ${process.pid}`);
    options.log(`leaving: ${await Promise.race([told, idle(server, engine, idleMs)])}`);
  } catch (error) {
    await closeAll(undo, options.log);
    announce(error); // after that nothing is left behind
    throw error;
  }
  await closeAll(undo, options.log);
}

async function closeAll(steps: readonly (() => Promise<void> | void)[], log: (line: string) => void): Promise<void> {
  for (const step of steps.toReversed()) await closeStep(step, log);
}

async function closeStep(step: () => Promise<void> | void, log: (line: string) => void): Promise<void> {
  try {
    await step();
  } catch (error) {
    log(`error while closing: ${errorMessage(error)}`);
  }
}

function takeLock(roots: EngineRoots): LockFile {
  const lock = acquireLock(roots.lockPath);
  if (lock !== undefined) return lock;
  throw new TscomposeError("engine/locked", `an engine runs already for ${roots.runRoot}`, {
    hint: "`tscompose engine stop` ends it; TSCOMPOSE_RUN_ROOT and TSCOMPOSE_DATA_ROOT make room for another one",
  });
}

/** Resolves to the name of the first SIGTERM or SIGINT. The listeners stay: a second one while everything is being closed must
 *  not cut that short. */
function signalled(): Promise<string> {
  process.on("SIGHUP", () => undefined);
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, resolve);
  });
}

/** Resolves when nothing has run and nobody has asked for `idleMs`; undefined: never. */
function idle(server: ApiServer, engine: Engine, idleMs: number | undefined): Promise<string> {
  return new Promise((resolve) => {
    if (idleMs === undefined) return;
    watchIdle({
      idleMs,
      quietSince: () => server.quietSince,
      isBusy: async () => server.connections > 0 || (await hasLiveContainers(engine)),
      onIdle: () => resolve("nothing runs and nobody asks"),
    });
  });
}

const live: ReadonlySet<string> = new Set(["running", "paused", "restarting", "removing"]);
async function hasLiveContainers(engine: Engine): Promise<boolean> {
  const containers = await engine.containers.list({ all: true, limit: undefined, size: false, filters: new Map() });
  return containers.some(({ State }) => live.has(State));
}
