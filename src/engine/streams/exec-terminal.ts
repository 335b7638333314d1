/** An exec with a terminal: from a runtime that sends the one it made, or through one of ours that the runtime relays to. */
import { closeSync, statSync } from "node:fs";
import { spawnPiped, type PipedChild } from "../../host/child.ts";
import { openConsoleSocket } from "../../host/console-socket.ts";
import type { Poller } from "../../host/poller.ts";
import { openPty, setTerminalSize } from "../../host/terminal.ts";
import type { RuntimeProcess } from "./exec-process.ts";

export interface TerminalLaunch {
  readonly argv: (extra: readonly string[]) => string[];
  readonly directory: string;
  readonly process: RuntimeProcess;
  /** See `ExecTarget.sendsTerminal`. */
  readonly sendsTerminal: boolean;
  /** Where the runtime writes the command's pid once it runs. */
  readonly pidFile: string;
}
export interface TerminalChild {
  readonly child: PipedChild;
  /** The engine's end. */
  readonly master: Promise<number>;
  /** Resolves when input arrives and changes of size are heeded. */
  readonly relaying: Promise<void>;
}

export function launchWithTerminal(launch: TerminalLaunch, poller: Poller): TerminalChild {
  return launch.sendsTerminal ? launchForTerminal(launch, poller) : launchOnTerminal(launch);
}

const nothing = { stdin: false, stdout: false, stderr: false };

function launchForTerminal(launch: TerminalLaunch, poller: Poller): TerminalChild {
  const socket = openConsoleSocket(launch.directory, poller);
  const child = spawnPiped(launch.argv(["--tty", "--console-socket", socket.path]), nothing);
  void child.exited.finally(() => socket.close()).catch(() => undefined);
  return { child, master: socket.terminal, relaying: Promise.resolve() };
}

function launchOnTerminal(launch: TerminalLaunch): TerminalChild {
  const { master, slave } = openPty();
  try {
    const { consoleSize } = launch.process;
    if (consoleSize !== undefined) setTerminalSize(master, consoleSize.height, consoleSize.width);
    const child = spawnPiped(launch.argv(["--tty"]), { ...nothing, terminal: slave });
    return { child, master: Promise.resolve(master), relaying: hasStarted(child, launch.pidFile) };
  } catch (error) {
    closeSync(master);
    throw error;
  } finally {
    closeSync(slave);
  }
}

const startPollMs = 2;

/** A runtime that relays takes input, and heeds a change of size, once the command runs. Resolves also when it ends before. */
async function hasStarted(child: PipedChild, pidFile: string): Promise<void> {
  let ended = false;
  void child.exited.catch(() => undefined).then(() => (ended = true));
  while (!ended && statSync(pidFile, { throwIfNoEntry: false }) === undefined) {
    await new Promise((resolve) => setTimeout(resolve, startPollMs));
  }
}
