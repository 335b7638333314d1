/** Programs that run to their end: argv in, output out. Never a shell; the environment is given, not inherited; descriptors
 *  above 2 are closed by `sealDescriptors` at the start of the process. */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import type { Readable } from "node:stream";
import { TscomposeError } from "../errors.ts";
import { setCloseOnExec } from "./libc.ts";

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}
export interface CommandOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Exit codes that are not an error; default only 0. */
  readonly acceptExitCodes?: readonly number[];
}

/** What children see: nothing of ours but where programs are. */
export const childEnvironment: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
};

/** Sets close-on-exec on every descriptor above 2 that this process inherited: Node hands inherited ones on to children, and
 *  one that reaches a container is a way out of it (security.md section 0, row D). Call first thing in a process. */
export function sealDescriptors(): void {
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      setCloseOnExec(fd, true);
    } catch {
      continue; // the descriptor of the directory listing itself
    }
  }
}

/** Runs `argv` to its end. Output is capped at 16 MiB a stream.
 *  @throws host/command-failed (details: argv, exitCode, signal, stderr) for an exit code that was not accepted, a signal, a
 *  time-out, or a program that cannot be started; aborted when `signal` fired. */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  if (file === undefined) throw new Error("empty argv");
  const child = spawn(file, args, {
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    env: { ...childEnvironment, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: "SIGKILL" as const }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  if (child.stdin !== null) {
    child.stdin.on("error", () => undefined); // EPIPE: its exit code tells why it did not read
    child.stdin.end(options.input);
  }
  const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on("error", (error) => reject(commandError(argv, { cause: error, reason: error.message })));
    child.on("close", (code, killedBy) => resolve([code, killedBy]));
  });
  const result = { exitCode: exitCode ?? -1, stdout: stdout(), stderr: stderr() };
  if (options.signal?.aborted === true) throw new TscomposeError("aborted", `${file} was aborted`);
  if (signal === null && (options.acceptExitCodes ?? [0]).includes(result.exitCode)) return result;
  throw commandError(argv, { reason: signal === null ? `exit code ${result.exitCode}` : signal, result });
}

/** As `runCommand`, blocking: for start-up probes only. */
export function runCommandSync(argv: readonly string[], input?: string): CommandResult {
  const [file, ...args] = argv;
  if (file === undefined) throw new Error("empty argv");
  const child = spawnSync(file, args, {
    env: { ...childEnvironment },
    maxBuffer: outputCap,
    ...(input === undefined ? { stdio: ["ignore", "pipe", "pipe"] as const } : { input }),
  });
  if (child.error !== undefined) throw commandError(argv, { cause: child.error, reason: child.error.message });
  return { exitCode: child.status ?? -1, stdout: child.stdout, stderr: child.stderr };
}

const outputCap = 16 * 1024 * 1024;

function collect(stream: Readable | null): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= outputCap) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks);
}

function commandError(
  argv: readonly string[],
  failure: { readonly reason: string; readonly cause?: unknown; readonly result?: CommandResult },
): TscomposeError {
  const stderr = failure.result?.stderr.toString("utf8").trim().slice(-2000) ?? "";
  const message = `${argv[0]} failed (${failure.reason})${stderr === "" ? "" : `: ${stderr}`}`;
  return new TscomposeError("host/command-failed", message, {
    ...(failure.cause === undefined ? {} : { cause: failure.cause }),
    details: { argv, exitCode: failure.result?.exitCode, stderr },
  });
}
