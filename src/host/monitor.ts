/** Starts conmon, which starts a container and then watches over it without us. Source: conmon(8); the `_OCI_SYNCPIPE` protocol:
 *  one line of JSON with the container's pid, or -1 and why. */
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { TscomposeError } from "../errors.ts";
import { childEnvironment } from "./command.ts";

const syncFd = 3;
const replyCap = 64 * 1024;

/** Resolves to the pid of the container's first process, which waits to be released. conmon has left this process' session by
 *  then. @throws container/start-failed with the runtime's own words */
export async function startMonitor(argv: readonly string[], cwd: string): Promise<number> {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    cwd,
    env: { ...childEnvironment, _OCI_SYNCPIPE: String(syncFd) },
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    detached: true,
  });
  const reply = await new Promise<string>((resolve, reject) => {
    let text = "";
    const pipe = child.stdio[syncFd] as Readable | null;
    child.once("error", (error) => {
      reject(
        new TscomposeError("host/command-failed", `${file} cannot be started: ${error.message}`, { cause: error }),
      );
    });
    const finish = (): void => {
      pipe?.destroy();
      resolve(text);
    };
    pipe?.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (text.includes("\n") || text.length > replyCap) finish();
    });
    for (const event of ["end", "error"]) pipe?.once(event, finish);
  });
  return parseReply(reply);
}

export function parseReply(text: string): number {
  let reply: { readonly data?: unknown; readonly pid?: unknown; readonly message?: unknown } = {};
  try {
    reply = JSON.parse(text) as typeof reply;
  } catch {
    throw new TscomposeError("container/start-failed", "the container's monitor ended without an answer", {
      hint: "see conmon.log in the container's run directory",
      details: { reply: text.slice(0, 1000) },
    });
  }
  const pid = typeof reply.data === "number" ? reply.data : reply.pid;
  if (typeof pid === "number" && pid > 0) return pid;
  const message = typeof reply.message === "string" ? reply.message.trim() : "the runtime gave no reason";
  throw new TscomposeError("container/start-failed", message);
}
