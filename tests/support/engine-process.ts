/** A real engine as a process of its own, with roots of its own, for integration tests: started, killed, started again, and
 *  audited for what it left. Driven through its socket by the project's own client. */
import { spawn } from "node:child_process";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { Docker } from "../../src/client/docker.ts";
import { namespaceVariable } from "../../src/cli/engine/reexec.ts";
import type { ContainerConfig, ContainerInspect, EventMessage, HostConfig } from "../../src/engine/types.ts";
import { makeBusyboxArchive } from "./images.ts";
import { leaksSince, takeSnapshot, type Leak, type Snapshot } from "./leak-audit.ts";

const repository = resolve(import.meta.dirname, "../..");
let bundle: Promise<string> | undefined;

/** The engine as one file, as it is shipped. */
function bundleEngine(): Promise<string> {
  bundle ??= (async () => {
    // Not by process number: runs beside this one may have the same, in namespaces of their own.
    mkdirSync(join(repository, ".cache"), { recursive: true });
    const outfile = join(mkdtempSync(join(repository, ".cache/engine-")), "engine.cjs");
    await build({
      absWorkingDir: repository,
      entryPoints: {
        engine: "tests/support/local-engine-main.ts",
        "layer-worker": "src/engine/images/layers/layer-worker.ts",
      },
      outdir: join(outfile, ".."),
      outExtension: { ".js": ".cjs" },
      bundle: true,
      platform: "node",
      target: "node20",
      format: "cjs",
      external: ["koffi"],
      define: { "import.meta.url": "__bundleUrl" },
      banner: { js: 'const __bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
      logLevel: "error",
    });
    process.once("exit", () => rmSync(join(outfile, ".."), { recursive: true, force: true }));
    return outfile;
  })();
  return bundle;
}

/** The part of Node's ChildProcess that is used here. */
interface Child {
  readonly pid?: number | undefined;
  readonly exitCode: number | null;
  readonly signalCode: string | null;
  kill(signal: "SIGKILL" | "SIGTERM"): boolean;
  once(event: "exit", listener: () => void): unknown;
}

export class EngineProcess {
  readonly root = mkdtempSync(join(tmpdir(), "tse-"));
  readonly dataRoot = join(this.root, "data");
  readonly runRoot = join(this.root, "run");
  readonly docker: Docker;
  readonly #before: Snapshot;
  readonly #env: Readonly<Record<string, string>>;
  #child: Child | undefined;

  private constructor(before: Snapshot, env: Readonly<Record<string, string>>) {
    this.#before = before;
    this.#env = env;
    this.docker = new Docker({ socketPath: this.socket });
  }

  /** Starts one, with the image busybox loaded. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<EngineProcess> {
    const engine = new EngineProcess(await takeSnapshot(), env);
    mkdirSync(engine.runRoot, { recursive: true });
    await engine.launch();
    const load = await engine.docker.loadImage(createReadStream(await makeBusyboxArchive(engine.root)));
    for await (const chunk of load) void chunk;
    return engine;
  }

  get socket(): string {
    return join(this.runRoot, "docker.sock");
  }
  get pid(): number {
    return this.#child?.pid ?? 0;
  }
  get log(): string {
    return existsSync(join(this.root, "log")) ? readFileSync(join(this.root, "log"), "utf8") : "";
  }

  /** Starts the process, again after `kill`. Resolves when it answers. */
  async launch(): Promise<void> {
    const log = openSync(join(this.root, "log"), "a");
    const program = await bundleEngine();
    this.#child = spawn("unshare", ["--mount", "--propagation", "slave", "--", process.execPath, program], {
      env: {
        PATH: process.env["PATH"] ?? "",
        [namespaceVariable]: "own",
        TSCOMPOSE_DATA_ROOT: this.dataRoot,
        TSCOMPOSE_RUN_ROOT: this.runRoot,
        ...this.#env,
      },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const child = this.#child;
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`the engine died: ${this.log}`);
      return answers(this.socket);
    }, 20_000);
  }

  /** Ends the engine process; containers go on. */
  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((done) => child.once("exit", done));
    child.kill(signal);
    await ended;
  }

  async create(
    cmd: readonly string[],
    hostConfig: HostConfig = {},
    config: ContainerConfig = {},
    name?: string,
  ): Promise<string> {
    const container = await this.docker.createContainer({
      Image: "busybox",
      Cmd: cmd,
      ...config,
      HostConfig: { NetworkMode: "none", ...hostConfig },
      ...(name === undefined ? {} : { name }),
    });
    return container.id;
  }

  async run(
    cmd: readonly string[],
    hostConfig: HostConfig = {},
    config: ContainerConfig = {},
    name?: string,
  ): Promise<string> {
    const id = await this.create(cmd, hostConfig, config, name);
    await this.docker.getContainer(id).start();
    return id;
  }

  /** Runs it to its end. @returns exit code and standard output */
  async finish(
    cmd: readonly string[],
    hostConfig: HostConfig = {},
    config: ContainerConfig = {},
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const id = await this.run(cmd, hostConfig, config);
    const container = this.docker.getContainer(id);
    const { StatusCode } = await container.wait();
    const logs = splitFrames(await container.logs({ stdout: true, stderr: true }));
    await container.remove({ v: true });
    return { code: StatusCode, ...logs };
  }

  async inspect(id: string): Promise<ContainerInspect> {
    return await this.docker.getContainer(id).inspect();
  }

  async removeAll(): Promise<void> {
    const all = await this.docker.listContainers({ all: true });
    await Promise.all(all.map(({ Id }) => this.docker.getContainer(Id).remove({ force: true, v: true })));
  }

  /** Events until `stop` is called. */
  record(): { readonly events: EventMessage[]; readonly stop: () => void } {
    const events: EventMessage[] = [];
    const controller = new AbortController();
    void (async () => {
      try {
        for await (const event of this.docker.events({ abortSignal: controller.signal })) events.push(event);
      } catch {
        // it was stopped
      }
    })();
    return { events, stop: () => controller.abort() };
  }

  /** Removes every container, ends the engine, and says what is left of it on the machine. */
  async leaks(): Promise<readonly Leak[]> {
    await this.removeAll();
    await this.kill("SIGTERM");
    return await leaksSince(this.#before);
  }

  async dispose(): Promise<void> {
    try {
      if (this.#child?.exitCode === null && this.#child.signalCode === null) await this.removeAll();
    } finally {
      this.docker.close();
      await this.kill("SIGTERM");
      rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}

function answers(socket: string): Promise<boolean> {
  return new Promise((done) => {
    const client = connect(socket);
    client.once("connect", () => done(true));
    client.once("error", () => done(false));
    client.once("connect", () => client.destroy());
  });
}

/** Polls until `condition` holds. @throws after so many milliseconds */
export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${String(condition)}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

/** Standard output and error of a multiplexed log. */
export function splitFrames(data: Buffer): { readonly out: string; readonly err: string } {
  let [out, err] = ["", ""];
  for (let at = 0; at + 8 <= data.length;) {
    const length = data.readUInt32BE(at + 4);
    const text = data.toString("utf8", at + 8, at + 8 + length);
    if (data[at] === 2) err += text;
    else out += text;
    at += 8 + length;
  }
  return { out, err };
}
