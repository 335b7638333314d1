/** A network of its own in one process, asked by another at a steady pace: `dns-host-main.ts` and `dns-load.c`, made and run. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { build } from "esbuild";

const repository = resolve(import.meta.dirname, "../..");

export interface LoadResult {
  readonly sent: number;
  readonly answered: number;
  readonly wrong: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}
export interface LoadedNames {
  /** @param rate questions a second; A and AAAA of each name in turn */
  load(rate: number, seconds: number, names: readonly string[]): Promise<LoadResult>;
  /** Ends it. @returns milliseconds of processor time it has used since it was ready */
  close(): Promise<number>;
}

/** @param before a program and its arguments to start each process with (`taskset`, `chrt`): the server's, the asker's */
export async function startLoadedNames(
  members: number,
  before: { readonly server: readonly string[]; readonly asker: readonly string[] } = { server: [], asker: [] },
): Promise<LoadedNames> {
  const directory = join(repository, "node_modules/.tscompose-tests", `dns-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  const [host, asker] = [join(directory, "dns-host.mjs"), join(directory, "dns-load")];
  await build({
    absWorkingDir: repository,
    entryPoints: ["tests/support/dns-host-main.ts"],
    outfile: host,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    external: ["koffi"],
    banner: { js: 'import { createRequire as __c } from "node:module"; const require = __c(import.meta.url);' },
    logLevel: "error",
  });
  execFileSync("gcc", ["-O2", "-o", asker, join(repository, "tests/support/dns-load.c")]);
  const [program, ...args] = [...before.server, process.execPath, host, String(members)];
  const child = spawn(program ?? "", args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const reader = createInterface({ input: child.stdout });
  const lines = reader[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value));
  const { pid, netns } = (await next()) as { readonly pid: number; readonly netns: number };
  return {
    load: async (rate, seconds, names) => {
      const command = ["nsenter", `--net=/proc/${pid}/fd/${netns}`, ...before.asker, asker];
      const [enter = "", ...rest] = [...command, "127.0.0.11", "53", String(rate), String(seconds), ...names];
      const { stdout } = await promisify(execFile)(enter, rest);
      return JSON.parse(stdout) as LoadResult;
    },
    close: async () => {
      child.stdin.end();
      const { cpuMs } = (await next()) as { readonly cpuMs: number };
      await ended;
      reader.close();
      rmSync(directory, { recursive: true, force: true });
      return cpuMs;
    },
  };
}
