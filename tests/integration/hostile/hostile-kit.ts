/** What the tests of hostile containers share: the programs, compiled; a tree of the host that must stay as it was. Each container
 *  runs with limits of its own, and programs that never end are killed through the engine.
 *  Source: security.md section 2. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as libc from "../../../src/host/libc.ts";
import type { HostConfig } from "../../../src/engine/types.ts";
import { splitFrames, until, type EngineProcess } from "../../support/engine-process.ts";

/** A folder with the program `hostile`; the caller removes it. */
export function compileHostile(): string {
  const folder = mkdtempSync(join(tmpdir(), "hostile-"));
  const source = join(import.meta.dirname, "hostile.c");
  execFileSync("gcc", ["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", join(folder, "hostile"), source]);
  return folder;
}

/** How often a race is run: a few times in CI, as often as TSCOMPOSE_RACES says to look for long odds. */
export const races = Number(process.env["TSCOMPOSE_RACES"] ?? 15);

export class Hostiles {
  readonly #engine: EngineProcess;
  readonly #folder: string;

  constructor(engine: EngineProcess, folder: string) {
    this.#engine = engine;
    this.#folder = folder;
  }

  /** Starts one, and waits until it says that it is ready where it does. @returns its id */
  async start(args: readonly string[], { binds = [], ready = false, ...more }: StartOptions = {}): Promise<string> {
    const id = await this.#engine.run(["/h/hostile", ...args], {
      ...limits,
      ...more,
      Binds: [`${this.#folder}:/h:ro`, ...binds],
    });
    if (ready) await until(async () => (await this.output(id)).includes("ready"));
    return id;
  }

  /** Runs one to its end. */
  async finish(
    args: readonly string[],
    { binds = [], ...more }: StartOptions = {},
  ): Promise<{ readonly code: number; readonly out: string }> {
    const hostConfig = { ...limits, ...more, Binds: [`${this.#folder}:/h:ro`, ...binds] };
    return await this.#engine.finish(["/h/hostile", ...args], hostConfig);
  }

  async output(id: string): Promise<string> {
    return splitFrames(await this.#engine.docker.getContainer(id).logs({ stdout: true })).out;
  }

  async remove(id: string): Promise<void> {
    await this.#engine.docker.getContainer(id).remove({ force: true, v: true });
  }
}

interface StartOptions extends Omit<HostConfig, "Binds"> {
  readonly binds?: readonly string[];
  readonly ready?: boolean;
}

const limits = { PidsLimit: 200, Memory: 128 * 1024 * 1024, MemorySwap: 128 * 1024 * 1024 } as const;

/** A tree that nobody may touch, with all kinds of attributes. */
export function plantCanary(folder: string): Canary {
  mkdirSync(join(folder, "sub/deeper"), { recursive: true });
  for (const name of ["passwd", "null", "sub/file", "sub/deeper/secret"]) writeFileSync(join(folder, name), canaryText);
  libc.lsetxattr(join(folder, "sub/file"), "user.canary", Buffer.from("sings"));
  execFileSync("chown", ["12:34", join(folder, "sub/file")]);
  execFileSync("chmod", ["2750", join(folder, "sub")]);
  return { folder, before: fingerprint(folder) };
}

export interface Canary {
  readonly folder: string;
  readonly before: string;
}
export const canaryText = "the canary sings\n";

/** Names, types, modes, owners, times, attributes and contents. */
export function fingerprint(folder: string): string {
  const hash = createHash("sha256");
  const visit = (path: string): void => {
    const stat = lstatSync(path, { bigint: true });
    hash.update(`${path} ${stat.mode} ${stat.uid} ${stat.gid} ${stat.nlink} ${stat.mtimeNs} ${stat.ctimeNs}\n`);
    for (const name of libc.llistxattr(path)) hash.update(`${name}=${libc.lgetxattr(path, name)?.toString("hex")}\n`);
    if (stat.isDirectory()) for (const name of readdirSync(path).toSorted()) visit(join(path, name));
    else if (stat.isSymbolicLink()) hash.update(readlinkSync(path));
    else if (stat.isFile()) hash.update(readFileSync(path));
  };
  visit(folder);
  return hash.digest("hex");
}

/** Where file systems are mounted, as the engine sees it, outside of its own roots. */
export function foreignMounts(engine: EngineProcess): readonly string[] {
  return readFileSync(`/proc/${engine.pid}/mountinfo`, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => !point.startsWith(engine.root))
    .toSorted();
}

/** What a container could change of the machine itself. */
export function hostSettings(): Readonly<Record<string, string>> {
  const paths = ["core_pattern", "sysrq", "modprobe", "hotplug"].map((name) => `/proc/sys/kernel/${name}`);
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return ""; // not in this kernel
    }
  };
  return Object.fromEntries(paths.map((path) => [path, read(path)]));
}
