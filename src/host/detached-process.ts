/** Programs that outlive the one that starts them: own session, own log, nothing inherited but one pipe through which they
 *  say that they are ready. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { sealDescriptors } from "./command.ts";

/** The descriptor that a detached program finds its announcements pipe at. */
export const announceFd = 3;

export interface DetachedProcess {
  readonly pid: number;
  /** What it wrote to descriptor 3 until it closed it, or until `capBytes`. */
  readonly announced: Promise<string>;
}

export interface DetachedOptions {
  /** Takes standard output and error; appended to, mode 0600. */
  readonly logPath: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Starts `argv` and goes on. Rejects when the program cannot be started; when `signal` fires, `announced` ends with what
 *  there is, and the program is left alone. */
export async function startDetached(argv: readonly string[], options: DetachedOptions): Promise<DetachedProcess> {
  sealDescriptors();
  const log = openSync(options.logPath, "a", 0o600);
  try {
    const [file = "", ...args] = argv;
    const child = spawn(file, args, {
      cwd: "/",
      env: { ...options.env },
      detached: true,
      stdio: ["ignore", log, log, "pipe"],
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
    return { pid: child.pid ?? 0, announced: readAll(child.stdio[announceFd] as Readable, options.signal) };
  } finally {
    closeSync(log);
  }
}

const announcementCap = 64 * 1024;

function readAll(pipe: Readable, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const finish = (): void => {
      pipe.destroy();
      resolve(text);
    };
    pipe.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (text.length > announcementCap) finish();
    });
    for (const event of ["end", "error", "close"]) pipe.once(event, finish);
    if (signal.aborted) finish();
    else signal.addEventListener("abort", finish, { once: true });
  });
}

/** Runs `argv` in the foreground with our own stdio, handing SIGTERM, SIGINT and SIGHUP on. Resolves to its exit code, or 128
 *  + signal number. */
export async function runForeground(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  sealDescriptors();
  const [file = "", ...args] = argv;
  const child = spawn(file, args, { env: { ...env }, stdio: "inherit" });
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    for (const signal of signals) process.off(signal, forward);
  }
}
