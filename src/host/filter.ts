/** Programs as filters: bytes in, bytes out, both as streams. Never a shell; environment given, not inherited. */
import { spawn } from "node:child_process";
import { TscomposeError } from "../errors.ts";
import { childEnvironment } from "./command.ts";

export interface Filter {
  /** Resolves when the bytes were handed to the program. */
  write(chunk: Buffer): Promise<void>;
  /** Resolves when the program has read everything, written everything and ended well.
   *  @throws host/command-failed */
  end(): Promise<void>;
  /** Kills the program. Idempotent. */
  kill(): void;
}

/** Starts `argv`; `onData` gets what it writes, in order, synchronously: it is not read faster than that.
 *  @throws host/unsupported (from `write` or `end`) when the program is not installed */
export function startFilter(argv: readonly string[], onData: (chunk: Buffer) => void): Filter {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...childEnvironment } });
  let failure: Error | undefined;
  let stderr = "";
  const fail = (error: Error): void => {
    failure ??= error;
    child.kill("SIGKILL");
  };
  child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString("utf8")).slice(-2000)));
  child.stdin.on("error", () => undefined); // EPIPE: the exit code tells
  child.stdout.on("data", (chunk: Buffer) => {
    if (failure !== undefined) return;
    try {
      onData(chunk);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      failure ??= new TscomposeError("host/unsupported", `cannot run ${file}: ${error.message}`, {
        hint: `install it: apt-get install ${file === "xz" ? "xz-utils" : file}`,
        cause: error,
      });
      resolve();
    });
    child.once("close", (code, signal) => {
      if (code !== 0) {
        failure ??= new TscomposeError(
          "host/command-failed",
          `${file} failed (${signal ?? `exit code ${code}`}): ${stderr.trim()}`,
          {
            details: { argv, exitCode: code, stderr },
          },
        );
      }
      resolve();
    });
  });
  const check = (): void => {
    if (failure !== undefined) throw failure;
  };
  return {
    async write(chunk) {
      check();
      if (child.stdin.write(chunk)) return;
      const drained = new Promise<void>((resolve) => child.stdin.once("drain", resolve));
      await Promise.race([drained, ended]);
      check();
    },
    async end() {
      child.stdin.end();
      await ended;
      check();
    },
    kill() {
      child.kill("SIGKILL");
    },
  };
}
