/** Starts a program without copying this process: fork(2) of a process as big as Node's costs milliseconds and page faults
 *  afterwards, posix_spawn(3) does not, and on a thread of the pool it holds nobody up. Source: posix_spawn(3), glibc and musl. */
import { constants } from "node:os";
import { childEnvironment } from "./command.ts";
import { libc, O_CLOEXEC, check } from "./libc.ts";
import { TscomposeError } from "../errors.ts";

const spawnFn = libc.func(
  "int posix_spawn(_Out_ int *, const char *, const uint8_t *, const uint8_t *, const char **, const char **)",
);
const actionsInitFn = libc.func("int posix_spawn_file_actions_init(_Out_ uint8_t *)");
const actionsOpenFn = libc.func("int posix_spawn_file_actions_addopen(_Inout_ uint8_t *, int, const char *, int, int)");
const actionsDupFn = libc.func("int posix_spawn_file_actions_adddup2(_Inout_ uint8_t *, int, int)");
const actionsDestroyFn = libc.func("int posix_spawn_file_actions_destroy(_Inout_ uint8_t *)");
const attributesInitFn = libc.func("int posix_spawnattr_init(_Out_ uint8_t *)");
const attributesFlagsFn = libc.func("int posix_spawnattr_setflags(_Inout_ uint8_t *, short)");
const attributesSignalsFn = libc.func("int posix_spawnattr_setsigdefault(_Inout_ uint8_t *, const uint8_t *)");
const attributesMaskFn = libc.func("int posix_spawnattr_setsigmask(_Inout_ uint8_t *, const uint8_t *)");
const waitpidFn = libc.func("int waitpid(int, _Out_ int *, int)");
const pipe2Fn = libc.func("int pipe2(_Out_ int32_t *, int)");

const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
const WNOHANG = 1;
const O_RDWR = 2;
/** More than struct sizes of any C library. */
const structBytes = 512;
const signalSetBytes = 128;

export interface SpawnRequest {
  /** The first is the program's path. */
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptors of this process -> of the child, above 2. Its stdio is /dev/null. */
  readonly descriptors: readonly { readonly from: number; readonly to: number }[];
}

/** Starts it in a session of its own with default signals. The caller collects it with `reap`.
 *  @returns its pid. @throws host/command-failed */
export async function posixSpawn(request: SpawnRequest): Promise<number> {
  const [path = ""] = request.argv;
  const env = Object.entries({ ...childEnvironment, ...request.env }).map(([key, value]) => `${key}=${value}`);
  const actions = Buffer.alloc(structBytes);
  actionsInitFn(actions);
  try {
    for (const fd of [0, 1, 2]) actionsOpenFn(actions, fd, "/dev/null", O_RDWR, 0);
    for (const { from, to } of request.descriptors) actionsDupFn(actions, from, to);
    const pid = [0];
    const args = [pid, path, actions, attributes(), [...request.argv, null], [...env, null]];
    const result = await new Promise<number>((resolve, reject) => {
      spawnFn.async(...args, (error: Error | null | undefined, value: number) => {
        if (error === null || error === undefined) resolve(value);
        else reject(error);
      });
    });
    if (result !== 0) {
      throw new TscomposeError("host/command-failed", `${path} cannot be started: ${errnoName(result)}`);
    }
    return pid[0] ?? 0;
  } finally {
    actionsDestroyFn(actions);
  }
}

/** Node ignores SIGPIPE, and children would too. */
function attributes(): Buffer {
  const buffer = Buffer.alloc(structBytes);
  attributesInitFn(buffer);
  attributesFlagsFn(buffer, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  attributesSignalsFn(buffer, Buffer.alloc(signalSetBytes, 0xff));
  attributesMaskFn(buffer, Buffer.alloc(signalSetBytes));
  return buffer;
}

/** Collects an ended child. @returns false while it runs */
export function reap(pid: number): boolean {
  return (waitpidFn(pid, [0], WNOHANG) as number) !== 0;
}

/** Both ends close on exec. */
export function pipe(): { readonly read: number; readonly write: number } {
  const fds = [0, 0];
  check(pipe2Fn(fds, O_CLOEXEC) as number, "pipe2", "");
  const [read = -1, write = -1] = fds;
  return { read, write };
}

function errnoName(number: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
}
