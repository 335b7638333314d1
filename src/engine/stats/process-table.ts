/** The processes of a container as `ps` on the host would list them. `-ef` is read from /proc here; other arguments take the
 *  host's own ps. Nothing of the container is run or trusted (CVE-2022-1227). Source: ps(1), proc(5). */
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { runCommand } from "../../host/command.ts";
import { clockTicks } from "../../host/libc.ts";

export interface ProcessTable {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[];
}

/** @throws request/invalid for arguments that ps refuses or that hide the pid */
export async function listProcesses(pids: ReadonlySet<number>, psArguments: string): Promise<ProcessTable> {
  const words = psArguments.trim().split(/\s+/).filter(Boolean);
  if (words.length === 0 || (words.length === 1 && words[0] === "-ef")) return fullTable(pids);
  const ps = ["/usr/bin/ps", "/bin/ps"].find((path) => existsSync(path));
  if (ps === undefined) {
    throw new TscomposeError("request/unsupported", "top with arguments needs the program ps on this host", {
      hint: "apt-get install procps, or leave the arguments out",
    });
  }
  try {
    const { stdout } = await runCommand([ps, ...words], { timeoutMs: 10_000 });
    return selectRows(stdout.toString("utf8"), pids);
  } catch (error) {
    if (error instanceof TscomposeError && error.code !== "host/command-failed") throw error;
    throw new TscomposeError("request/invalid", `ps: ${errorMessage(error)}`, { cause: error });
  }
}

/** The rows of ps' output whose PID is among `pids`; the last column takes the rest of its line. Pure. */
export function selectRows(output: string, pids: ReadonlySet<number>): ProcessTable {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const Titles = (lines.shift() ?? "").trim().split(/\s+/);
  const column = Titles.indexOf("PID");
  if (column < 0) throw new TscomposeError("request/invalid", "Couldn't find PID field in ps output");
  const rows = lines.map((line) => splitRow(line, Titles.length));
  return { Titles, Processes: rows.filter((row) => pids.has(Number(row[column]))) };
}

function splitRow(line: string, columns: number): readonly string[] {
  const words = line.trim().split(/\s+/);
  if (words.length <= columns) return words;
  return [...words.slice(0, columns - 1), words.slice(columns - 1).join(" ")];
}

function fullTable(pids: ReadonlySet<number>): ProcessTable {
  const now = Date.now();
  const bootMs = bootTimeMs();
  const names = userNames();
  const rows = [...pids]
    .toSorted((a, b) => a - b)
    .flatMap((pid) => {
      const found = readProcess(pid);
      return found === undefined ? [] : [fullRow(found, { now, bootMs, names })];
    });
  return { Titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], Processes: rows };
}

interface ProcessFacts {
  readonly pid: number;
  readonly uid: number;
  /** Fields of /proc/<pid>/stat after the name, the state first. */
  readonly fields: readonly string[];
  readonly name: string;
  readonly argv: readonly string[];
  readonly tty: string;
}

function readProcess(pid: number): ProcessFacts | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = text.lastIndexOf(")");
    return {
      pid,
      uid: statSync(`/proc/${pid}`).uid,
      fields: text
        .slice(end + 2)
        .trim()
        .split(" "),
      name: text.slice(text.indexOf("(") + 1, end),
      argv: readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1),
      tty: terminalOf(pid),
    };
  } catch {
    return undefined; // it has ended
  }
}

function fullRow(
  process: ProcessFacts,
  {
    now,
    bootMs,
    names,
  }: { readonly now: number; readonly bootMs: number; readonly names: ReadonlyMap<number, string> },
): readonly string[] {
  const field = (number: number): number => Number(process.fields[number - 3]); // counted as in proc(5)
  const cpuSeconds = (field(14) + field(15)) / clockTicks;
  const startMs = bootMs + (field(22) * 1000) / clockTicks;
  const ageSeconds = Math.max(1, (now - startMs) / 1000);
  const name = names.get(process.uid) ?? String(process.uid);
  return [
    name,
    String(process.pid),
    String(field(4)),
    String(Math.min(99, Math.floor((cpuSeconds / ageSeconds) * 100))),
    startText(startMs, now),
    process.tty,
    clock(cpuSeconds),
    process.argv.length === 0 ? `[${process.name}]` : process.argv.join(" "),
  ];
}

/** Of descriptor 0, when it is a terminal. The number in /proc/<pid>/stat names a terminal of the container's own numbering. */
function terminalOf(pid: number): string {
  try {
    const target = readlinkSync(`/proc/${pid}/fd/0`);
    return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") ? target.slice("/dev/".length) : "?";
  } catch {
    return "?";
  }
}

/** `23:43` today, `Nov20` this year, else the year. */
function startText(startMs: number, now: number): string {
  const [start, today] = [new Date(startMs), new Date(now)];
  if (start.toDateString() === today.toDateString()) return start.toTimeString().slice(0, 5);
  if (start.getFullYear() !== today.getFullYear()) return String(start.getFullYear());
  return start.toDateString().slice(4, 10).replace(" ", "");
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
    .map((n) => String(n).padStart(2, "0"))
    .join(":");
}

function bootTimeMs(): number {
  return Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "latin1"))?.[1] ?? 0) * 1000;
}

/** Of the host, as its ps would say. */
function userNames(): ReadonlyMap<number, string> {
  try {
    const lines = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"));
    return new Map(lines.map(([name = "", , uid]) => [Number(uid), name]));
  } catch {
    return new Map();
  }
}
