/** The two folders of an engine and what is in the run root. */
import { accessSync, chmodSync, constants } from "node:fs";
import { isAbsolute, join } from "node:path";
import { TscomposeError, errnoOf } from "../../errors.ts";
import { makeDirectories } from "../../host/make-directory.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface EngineRoots {
  /** Images, volumes, records; survives a reboot. */
  readonly dataRoot: string;
  /** Socket, lock, log; does not. */
  readonly runRoot: string;
  readonly socketPath: string;
  readonly lockPath: string;
  readonly pidPath: string;
  readonly logPath: string;
}

/** Pure. @throws compose/usage for a root that is not an absolute path, or too long for a socket address. */
export function resolveRoots(env: Environment): EngineRoots {
  const dataRoot = rootOf(env, "TSCOMPOSE_DATA_ROOT", "/var/lib/tscompose");
  const runRoot = rootOf(env, "TSCOMPOSE_RUN_ROOT", "/run/tscompose");
  const socketPath = join(runRoot, "docker.sock");
  // sockaddr_un holds 107 bytes and a NUL; unix(7).
  if (Buffer.byteLength(socketPath) > 107) {
    throw new TscomposeError("compose/usage", `the run root ${runRoot} is too long for a socket path`, {
      hint: "choose a shorter folder with TSCOMPOSE_RUN_ROOT (at most 95 bytes)",
    });
  }
  return {
    dataRoot,
    runRoot,
    socketPath,
    lockPath: join(runRoot, "engine.lock"),
    pidPath: join(runRoot, "engine.pid"),
    logPath: join(runRoot, "engine.log"),
  };
}

function rootOf(env: Environment, name: string, fallback: string): string {
  const value = env[name] || fallback;
  if (isAbsolute(value)) return value;
  throw new TscomposeError("compose/usage", `${name} must be an absolute path, not "${value}"`);
}

/** Makes both roots: data 0700, run 0711, for the socket in it is guarded by its own mode.
 *  @throws host/permission without root rights or where they cannot be written. */
export function prepareRoots(roots: EngineRoots): void {
  if (process.getuid?.() !== 0) {
    throw new TscomposeError("host/permission", "the engine needs root rights", {
      hint: "run the command with sudo, or name a running engine with -H or DOCKER_HOST",
    });
  }
  prepareDirectory(roots.dataRoot, 0o700, "TSCOMPOSE_DATA_ROOT");
  prepareDirectory(roots.runRoot, 0o711, "TSCOMPOSE_RUN_ROOT");
}

function prepareDirectory(path: string, mode: number, variable: string): void {
  try {
    makeDirectories(path);
    accessSync(path, constants.W_OK | constants.X_OK);
    chmodSync(path, mode);
  } catch (error) {
    throw new TscomposeError("host/permission", `cannot use ${path} as a root of the engine: ${errnoOf(error)}`, {
      cause: error,
      hint: `make it a writable folder, or choose another one with ${variable}`,
    });
  }
}
