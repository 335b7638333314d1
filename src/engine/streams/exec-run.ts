/** Runs one command inside a running container through the OCI runtime, with pipes or a terminal that the engine owns.
 *  In: the runtime's command line, the process to run. Out: a live session and how it ended. Knows no Docker requests. */
import { closeSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { constants as osConstants } from "node:os";
import { join } from "node:path";
import { errorMessage } from "../../errors.ts";
import { spawnPiped, type PipedChild } from "../../host/child.ts";
import { pidfdOpen, pidfdSendSignal, syscallErrno } from "../../host/libc.ts";
import type { Poller } from "../../host/poller.ts";
import { processStat } from "../../host/process-identity.ts";
import { openTerminal, setTerminalSize } from "../../host/terminal.ts";
import type { OutputChunk } from "../engine.ts";
import { specText } from "../runtime/rlimits.ts";
import { explainExecFailure, type ExecFailure } from "./exec-failure.ts";
import type { RuntimeProcess } from "./exec-process.ts";
import { launchWithTerminal, type TerminalLaunch } from "./exec-terminal.ts";
import { OutputPump } from "./output-pump.ts";

export interface ExecTarget {
  /** Runtime and its global options, `--root` among them. */
  readonly runtimeCommand: readonly string[];
  readonly containerId: string;
  /** True for a runtime that sends the terminal and still waits for the command (crun). runc does only one of the two: it is given a
   *  terminal and relays to its own. */
  readonly sendsTerminal: boolean;
  /** Private directory of the container's current run, for small files. */
  readonly directory: string;
}

export interface ExecStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface RunningExec {
  readonly output: AsyncIterable<OutputChunk>;
  /** The command's exit code, known before `output` ends. A command that could not be started has a `failure`. */
  readonly ended: Promise<ExecEnd>;
  writeStdin(data: Buffer): Promise<boolean>;
  endStdin(): void;
  /** Nobody reads any more; the command goes on, its output is dropped. */
  detach(): void;
  /** Nothing without a terminal. */
  resize(height: number, width: number): void;
  /** The command's pid on the host; 0 while it is not known. */
  pid(): number;
  /** Ends the command with SIGKILL. */
  kill(): void;
}

export interface ExecEnd {
  readonly exitCode: number;
  readonly failure: ExecFailure | undefined;
  /** The command's pid on the host; 0 for one that never ran. */
  readonly pid: number;
}

/** After the command itself has ended, what it left behind may hold its output open: so long we wait for the end of it. */
const drainMs = 2000;

/** @throws host/command-failed when the runtime itself cannot be started */
export function runExec(
  target: ExecTarget,
  wanted: { readonly id: string; readonly process: RuntimeProcess; readonly streams: ExecStreams },
  poller: Poller,
): RunningExec {
  const files = execFiles(target.directory, wanted.id);
  writeFileSync(files.process, specText(wanted.process), { mode: 0o600 });
  const log = ["--log", files.log, "--log-format", "json"];
  const parameters = ["--process", files.process, "--pid-file", files.pid, target.containerId];
  const argv = (extra: readonly string[]): string[] => [
    ...target.runtimeCommand,
    ...log,
    "exec",
    ...extra,
    ...parameters,
  ];
  const context = { files, command: wanted.process.args[0] ?? "" };
  try {
    return wanted.process.terminal === true
      ? runWithTerminal({ ...target, argv, process: wanted.process }, context, poller)
      : runWithPipes(spawnPiped(argv([]), wanted.streams), context);
  } catch (error) {
    removeFiles(files);
    throw error;
  }
}

interface ExecFiles {
  readonly process: string;
  readonly pid: string;
  readonly log: string;
}
interface Context {
  readonly files: ExecFiles;
  readonly command: string;
}

function execFiles(directory: string, id: string): ExecFiles {
  const base = join(directory, `exec-${id.slice(0, 12)}`);
  return { process: `${base}.json`, pid: `${base}.pid`, log: `${base}.log` };
}

function removeFiles(files: ExecFiles): void {
  for (const path of [files.process, files.pid, files.log]) rmSync(path, { force: true });
}

function runWithPipes(child: PipedChild, context: Context): RunningExec {
  const pump = new OutputPump("exec");
  const started = (): boolean => statSync(context.files.pid, { throwIfNoEntry: false }) !== undefined;
  if (child.stdout !== undefined) pump.add(child.stdout, "stdout");
  // The runtime complains on the command's stderr when it cannot start it: held back until the command runs.
  if (child.stderr !== undefined) pump.add(child.stderr, "stderr", started);
  child.stdin?.on("error", () => undefined); // EPIPE: it does not read any more
  const ended = finish({ child, pump, context });
  return { ...common({ child, pump, context }), ended, ...input(child.stdin), resize: () => undefined };
}

function runWithTerminal(launch: Omit<TerminalLaunch, "pidFile">, context: Context, poller: Poller): RunningExec {
  const pump = new OutputPump("exec");
  const { child, master, relaying } = launchWithTerminal({ ...launch, pidFile: context.files.pid }, poller);
  let size = launch.process.consoleSize;
  let terminal: number | undefined;
  const opened = master.then((fd) => {
    if (size !== undefined) setTerminalSize(fd, size.height, size.width);
    const stream = openTerminal(fd);
    terminal = fd;
    stream.once("close", () => (terminal = undefined));
    pump.add(stream, "console");
    return stream;
  });
  const settled = opened.then(
    () => undefined,
    () => undefined,
  );
  return {
    ...common({ child, pump, context }),
    ended: finish({ child, pump, context, ready: settled }),
    writeStdin: async (data) => {
      await relaying;
      return input(await opened.catch(() => undefined)).writeStdin(data);
    },
    // A terminal has no end of input of its own: its user types one.
    endStdin: () => undefined,
    resize: (height, width) => {
      size = { height, width };
      if (terminal === undefined) return;
      setTerminalSize(terminal, height, width);
      if (!launch.sendsTerminal) void relaying.then(() => child.kill("SIGWINCH"));
    },
  };
}

function common(exec: { readonly child: PipedChild; readonly pump: OutputPump; readonly context: Context }): {
  readonly output: AsyncIterable<OutputChunk>;
  detach(): void;
  pid(): number;
  kill(): void;
} {
  return {
    output: exec.pump.output,
    detach: () => {
      exec.pump.discard();
      exec.child.stdin?.end();
    },
    pid: () => readPid(exec.context.files.pid),
    kill: () => killExec(exec.child, exec.context.files.pid),
  };
}

function input(stdin: Socket | undefined): { writeStdin(data: Buffer): Promise<boolean>; endStdin(): void } {
  return {
    writeStdin: async (data) => {
      if (stdin === undefined || !stdin.writable) return false;
      if (stdin.write(data)) return true;
      return new Promise<boolean>((resolve) => {
        const settle = (taken: boolean) => (): void => {
          stdin.off("drain", drained).off("close", closed);
          resolve(taken);
        };
        const [drained, closed] = [settle(true), settle(false)];
        stdin.on("drain", drained).on("close", closed);
      });
    },
    endStdin: () => void stdin?.end(),
  };
}

/** Waits for the end of the command, then for its output, and takes the files away. */
async function finish(exec: {
  readonly child: PipedChild;
  readonly pump: OutputPump;
  readonly context: Context;
  readonly ready?: Promise<void>;
}): Promise<ExecEnd> {
  const { child, pump, context } = exec;
  const end = await child.exited.then(
    (exitCode) => classify(exitCode, context),
    (error: unknown): ExecEnd => ({
      exitCode: 126,
      failure: { exitCode: 126, message: errorMessage(error) },
      pid: 0,
    }),
  );
  await exec.ready;
  removeFiles(context.files);
  child.stdin?.destroy();
  if (end.failure !== undefined) pump.replace(end.failure.message);
  else pump.release();
  void pump.endWhenDry(drainMs);
  return end;
}

/** A runtime that failed wrote no pid file. */
function classify(exitCode: number, { files, command }: Context): ExecEnd {
  const pid = readPid(files.pid);
  const log = exitCode === 0 || pid !== 0 ? "" : readText(files.log);
  if (log === "") return { exitCode, failure: undefined, pid };
  const failure = explainExecFailure(log, command);
  return { exitCode: failure.exitCode, failure, pid };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function readPid(path: string): number {
  return Number.parseInt(readText(path), 10) || 0;
}

/** The pid is taken for the command's only while its parent is the runtime that we started. */
function killExec(child: PipedChild, pidFile: string): void {
  const pid = readPid(pidFile);
  try {
    if (pid > 0) {
      const pidfd = pidfdOpen(pid);
      if (processStat(pid)?.parent === child.pid) pidfdSendSignal(pidfd, osConstants.signals.SIGKILL);
      closeSync(pidfd);
    }
  } catch (error) {
    if (syscallErrno(error) !== "ESRCH") throw error;
  }
  child.kill("SIGKILL");
}
