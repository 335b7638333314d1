/** A place for one scenario: a folder of project files, an engine of its own (data and run roots inside), the built CLI to
 *  drive it, and the leak audit around it. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type Leak, leaksSince, type Snapshot, takeSnapshot } from "./leak-audit.ts";

export const repository = resolve(import.meta.dirname, "../..");
const program = join(repository, "bin/tscompose.cjs");

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}
export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export class Workspace {
  readonly root: string;
  readonly dataRoot: string;
  readonly runRoot: string;
  readonly project: string;
  readonly #before: Snapshot;

  private constructor(root: string, before: Snapshot) {
    this.root = root;
    this.dataRoot = join(root, "data");
    this.runRoot = join(root, "run");
    this.project = join(root, "project");
    this.#before = before;
  }

  /** Files: path in the project folder -> content. The engine starts with the first command. */
  static async create(files: Readonly<Record<string, string>> = {}): Promise<Workspace> {
    const before = await takeSnapshot();
    const workspace = new Workspace(mkdtempSync(join(tmpdir(), "tsw-")), before);
    mkdirSync(workspace.project);
    workspace.write(files);
    return workspace;
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.project, name)), { recursive: true });
      writeFileSync(join(this.project, name), content);
    }
  }

  get socket(): string {
    return join(this.runRoot, "docker.sock");
  }
  get env(): Readonly<Record<string, string>> {
    return {
      PATH: process.env["PATH"] ?? "",
      HOME: this.root,
      TSCOMPOSE_DATA_ROOT: this.dataRoot,
      TSCOMPOSE_RUN_ROOT: this.runRoot,
    };
  }

  /** Starts the built CLI; the caller waits for it. */
  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    return spawn(process.execPath, [program, ...args], {
      cwd: options.cwd ?? this.project,
      env: { ...this.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }
  /** Runs the built CLI to its end, whatever its exit code. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return await finish(this.start(args, options), options.input);
  }
  /** Runs the built CLI; anything but exit code 0 is an error with its output. @returns stdout */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const outcome = await this.run(args, options);
    if (outcome.exitCode === 0) return outcome.stdout;
    throw new Error(
      `tscompose ${args.join(" ")}: exit ${outcome.exitCode}\n${outcome.stderr}\n${outcome.stdout}\n${this.engineLog()}`,
    );
  }
  /** Makes sure the busybox image is in the engine, as `busybox:latest`. */
  async loadBusybox(): Promise<void> {
    await this.ok(["load", "--quiet", "--input", await busyboxArchive()]);
  }

  /** Pid of the running engine, by the pid file in its run root. */
  enginePid(): number | undefined {
    const path = join(this.runRoot, "engine.pid");
    return existsSync(path) ? Number(readFileSync(path, "utf8").trim().split(/\s/)[0]) : undefined;
  }
  engineLog(): string {
    const path = join(this.runRoot, "engine.log");
    return existsSync(path) ? readFileSync(path, "utf8").slice(-4000) : "";
  }

  /** What differs from the time before the workspace was made, once the engine has been stopped. */
  async leaks(): Promise<readonly Leak[]> {
    await this.run(["engine", "stop"]);
    return await leaksSince(this.#before);
  }

  /** Ends whatever is left, by pid, and removes the folder. A test that failed must not spoil the next one. */
  async dispose(): Promise<void> {
    if (existsSync(this.socket)) await this.run(["engine", "stop"]);
    for (const pid of this.#strayProcesses()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        continue; // it has ended meanwhile
      }
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Processes whose arguments or environment name this workspace: engine, monitors, runtimes; and their containers. */
  #strayProcesses(): readonly number[] {
    const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
    const ours = new Set(
      all.filter(
        (pid) => read(`/proc/${pid}/cmdline`).includes(this.root) || read(`/proc/${pid}/cgroup`).includes(this.root),
      ),
    );
    for (const pid of all) {
      const stat = read(`/proc/${pid}/stat`);
      if (ours.has(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? "")) ours.add(pid);
    }
    return [...ours].map(Number);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Collects the output of a started process. */
export async function finish(child: ChildProcess, input?: string | Buffer): Promise<Outcome> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  const exitCode = await new Promise<number>((resolve_, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve_(code ?? (signal === "SIGKILL" ? 137 : 128)));
  });
  return { exitCode, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

/** Debian's busybox as a docker archive, made once. */
export async function busyboxArchive(): Promise<string> {
  const path = join(repository, ".cache/images/busybox.tar");
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const outcome = await finish(
    spawn(join(repository, "scripts/busybox-image"), [path], { stdio: ["ignore", "pipe", "pipe"] }),
  );
  if (outcome.exitCode !== 0) throw new Error(outcome.stderr);
  return path;
}

/** Polls `check` until it gives a value; the last error or undefined at the deadline is the failure. */
export async function eventually<T>(
  check: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = "no value";
  while (performance.now() < deadline) {
    try {
      const value = await check();
      if (value !== undefined) return value;
      last = "no value";
    } catch (error) {
      last = error;
    }
    await new Promise((wait) => setTimeout(wait, 50));
  }
  throw new Error(`did not happen within ${timeoutMs} ms`, { cause: last });
}

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
