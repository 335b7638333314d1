/** Starts conmon, which starts a container and then watches over it without us. Source: conmon(8); the `_OCI_SYNCPIPE` protocol:
 *  one line of JSON with the container's pid, or -1 and why. */
import { closeSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { setPriority } from "node:os";
import { TscomposeError } from "../errors.ts";
import { pipe, posixSpawn, reap } from "./posix-spawn.ts";

const syncFd = 3;
const replyCap = 64 * 1024;

/** Resolves to the pid of the container's first process, which waits to be released. conmon has left this process' session by
 *  then. @throws container/start-failed with the runtime's own words */
export async function startMonitor(argv: readonly string[]): Promise<number> {
  const { read, write } = pipe();
  let child: number;
  try {
    child = await posixSpawn({
      argv,
      env: { _OCI_SYNCPIPE: String(syncFd) },
      descriptors: [{ from: write, to: syncFd }],
    });
  } catch (error) {
    closeSync(read);
    throw error;
  } finally {
    closeSync(write);
  }
  const reply = await readLine(new Socket({ fd: read, readable: true, writable: false }));
  await collect(child);
  return parseReply(reply);
}

/** Below what others do on a machine that is short of time: the output of a container that writes without end must not slow down the
 *  engine, and with it the start of others. Its container keeps the priority it has. */
export function lowerMonitorPriority(pid: number): void {
  const nice = 10;
  try {
    setPriority(pid, nice);
    // Tasks of one session count as one where the kernel groups them: then it is the group's nice value that counts. sched(7)
    writeFileSync(`/proc/${pid}/autogroup`, String(nice));
  } catch {
    // It has ended, or the kernel knows no such groups: nothing depends on it.
  }
}

function readLine(stream: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const finish = (): void => {
      stream.destroy();
      resolve(text);
    };
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (text.includes("\n") || text.length > replyCap) finish();
    });
    for (const event of ["end", "error"]) stream.once(event, finish);
  });
}

/** conmon's first process ends once the second one is on its own. */
async function collect(pid: number): Promise<void> {
  while (!reap(pid)) await new Promise((resolve) => setTimeout(resolve, 1));
}

export function parseReply(text: string): number {
  let reply: { readonly data?: unknown; readonly pid?: unknown; readonly message?: unknown } = {};
  try {
    reply = JSON.parse(text) as typeof reply;
  } catch {
    throw new TscomposeError("container/start-failed", "the container's monitor ended without an answer", {
      hint: "see the engine's log and the system's",
      details: { reply: text.slice(0, 1000) },
    });
  }
  const pid = typeof reply.data === "number" ? reply.data : reply.pid;
  if (typeof pid === "number" && pid > 0) return pid;
  const message = typeof reply.message === "string" ? reply.message.trim() : "the runtime gave no reason";
  throw new TscomposeError("container/start-failed", message);
}
