/** Long-lived children whose stdio is real pipes. Node's own "pipe" makes sockets, and a program that opens `/dev/stdout` cannot
 *  open a socket (ENXIO). Never a shell; the environment is given. Source: pipe2(2), proc(5). */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants as osConstants } from "node:os";
import { childEnvironment } from "./command.ts";
import { check, libc, O_CLOEXEC } from "./libc.ts";

export interface PipedChild {
  readonly pid: number;
  /** Undefined where it was not asked for: the child has /dev/null there. */
  readonly stdin: Socket | undefined;
  readonly stdout: Socket | undefined;
  readonly stderr: Socket | undefined;
  /** Exit code, or 128 + signal. Rejects when the program could not be started. */
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

export interface PipedChildOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** A descriptor to be all three instead. */
  readonly terminal?: number;
}

/** Starts `argv` in a session of its own. The caller reads or destroys every stream that it asked for. */
export function spawnPiped(argv: readonly string[], options: PipedChildOptions): PipedChild {
  const [file, ...args] = argv;
  if (file === undefined) throw new Error("empty argv");
  const other = options.terminal ?? "ignore";
  const input = options.stdin ? pipe() : undefined;
  const output = options.stdout ? pipe() : undefined;
  const error = options.stderr ? pipe() : undefined;
  try {
    const child = spawn(file, args, {
      stdio: [input?.read ?? other, output?.write ?? other, error?.write ?? other],
      env: { ...childEnvironment },
      detached: true,
    });
    const exited = new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : osConstants.signals[signal])));
    });
    exited.catch(() => undefined); // whoever waits for it hears of it
    return {
      pid: child.pid ?? 0,
      stdin: input && new Socket({ fd: input.write, readable: false, writable: true }),
      stdout: output && new Socket({ fd: output.read, readable: true, writable: false }),
      stderr: error && new Socket({ fd: error.read, readable: true, writable: false }),
      exited,
      kill: (signal) => void child.kill(signal),
    };
  } catch (failure) {
    for (const fd of [input?.write, output?.read, error?.read]) if (fd !== undefined) closeSync(fd);
    throw failure;
  } finally {
    for (const fd of [input?.read, output?.write, error?.write]) if (fd !== undefined) closeSync(fd);
  }
}

const pipe2Fn = libc.func("int pipe2(_Out_ int32_t *, int)");

function pipe(): { readonly read: number; readonly write: number } {
  const fds = [0, 0];
  check(pipe2Fn(fds, O_CLOEXEC) as number, "pipe2", "");
  const [read = -1, write = -1] = fds;
  return { read, write };
}
