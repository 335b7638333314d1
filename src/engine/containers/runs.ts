/** The containers that have a process now: watched through their monitor, reported once when they have ended. */
import { closeSync, readFileSync, rmSync, statSync } from "node:fs";
import { EPOLLIN, pidfdOpen, pidfdSendSignal, syscallErrno } from "../../host/libc.ts";
import type { Poller } from "../../host/poller.ts";
import { isAlive, type ProcessIdentity } from "../../host/process-identity.ts";
import type { Container } from "./container.ts";

export interface RunEnd {
  /** As a shell has it: 128 + signal for a signal. Undefined: nobody can tell any more. */
  readonly exitCode: number | undefined;
  /** Unix nanoseconds. */
  readonly endedNs: bigint;
}

interface Run {
  readonly processFd: number;
  readonly monitorFd: number;
  /** Resolves when the end has been dealt with: resources freed, state recorded. */
  readonly settled: Promise<void>;
}

export class Runs {
  readonly #poller: Poller;
  readonly #runs = new Map<string, Run>();

  constructor(poller: Poller) {
    this.#poller = poller;
  }

  /** Watches a process that runs. `onEnd` is called once, when monitor and process have ended.
   *  @throws host/syscall-failed (ESRCH) when one of them is gone already: then see `readEnd` */
  watch(
    container: Container,
    launched: { readonly process: ProcessIdentity; readonly monitor: ProcessIdentity },
    onEnd: (end: RunEnd) => Promise<void>,
  ): void {
    const processFd = openProcess(launched.process);
    let monitorFd: number;
    try {
      monitorFd = openProcess(launched.monitor);
    } catch (error) {
      closeSync(processFd);
      throw error;
    }
    const settled = this.#ended(monitorFd)
      .then(() => this.#processEnded(container, processFd))
      .then(() => onEnd(readEnd(container)))
      .finally(() => {
        this.#runs.delete(container.id);
        closeSync(processFd);
        closeSync(monitorFd);
      });
    this.#runs.set(container.id, { processFd, monitorFd, settled });
  }

  has(container: Container): boolean {
    return this.#runs.has(container.id);
  }

  /** To the container's first process. @returns false when it has none */
  signal(container: Container, signal: number): boolean {
    const run = this.#runs.get(container.id);
    if (run === undefined) return false;
    try {
      pidfdSendSignal(run.processFd, signal);
      return true;
    } catch (error) {
      if (syscallErrno(error) === "ESRCH") return false;
      throw error;
    }
  }

  /** Resolves to true when the container has ended and all of it was dealt with, to false after so many milliseconds. */
  async settled(container: Container, timeoutMs: number | undefined): Promise<boolean> {
    const run = this.#runs.get(container.id);
    if (run === undefined) return true;
    if (timeoutMs === undefined) return run.settled.then(() => true);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, Math.min(timeoutMs, maxTimerMs), false);
    });
    try {
      return await Promise.race([run.settled.then(() => true), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops watching. Containers go on. */
  close(): void {
    for (const { processFd, monitorFd } of this.#runs.values()) {
      this.#poller.unwatch(processFd);
      this.#poller.unwatch(monitorFd);
    }
  }

  /** A monitor that was killed leaves the process without anybody to read its output or take its exit code: it is ended. */
  async #processEnded(container: Container, processFd: number): Promise<void> {
    if (statSync(container.paths.exitFile, { throwIfNoEntry: false }) !== undefined) return;
    try {
      pidfdSendSignal(processFd, 9);
    } catch (error) {
      if (syscallErrno(error) === "ESRCH") return;
      throw error;
    }
    await this.#ended(processFd);
  }

  #ended(fd: number): Promise<void> {
    return new Promise((resolve) => {
      this.#poller.watch(fd, EPOLLIN, () => {
        this.#poller.unwatch(fd);
        resolve();
      });
    });
  }
}

const maxTimerMs = 2 ** 31 - 1;

/** A descriptor of that very process: opened first, compared afterwards. */
function openProcess(identity: ProcessIdentity): number {
  const fd = pidfdOpen(identity.pid);
  if (isAlive(identity) || isZombieOf(identity)) return fd;
  closeSync(fd);
  return pidfdOpen(0x7fffffff); // fails with the errno of a process that is gone
}

/** It has ended, and nobody has collected it yet: its descriptor reports that at once. */
function isZombieOf({ pid, startTime }: ProcessIdentity): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] === startTime;
  } catch {
    return false;
  }
}

/** How a container ended, by the file that its monitor left; takes the file away. */
export function readEnd(container: Container): RunEnd {
  const { exitFile } = container.paths;
  try {
    const { mtimeNs } = statSync(exitFile, { bigint: true });
    const code = Number.parseInt(readFileSync(exitFile, "latin1"), 10);
    rmSync(exitFile, { force: true });
    return { exitCode: Number.isNaN(code) ? undefined : code, endedNs: mtimeNs };
  } catch {
    return { exitCode: undefined, endedNs: BigInt(Date.now()) * 1_000_000n };
  }
}
