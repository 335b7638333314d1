/** The two sides of the comparison: this project, and Docker Compose with Docker Engine. Both are driven by their command
 *  line, as a user does; each has an engine that was started before anything is timed, with its run root in memory, as both have by
 *  default. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { remember } from "./left-behind.ts";
import { startPeerEngine } from "../support/peers.ts";
import { repository } from "../support/workspace.ts";

export interface Side {
  readonly name: "tscompose" | "docker";
  /** Where its engine listens. */
  readonly socketPath: string;
  /** Runs `<tool> ARGS` for the project in `cwd`; throws with its output when it fails. @returns milliseconds */
  compose(args: readonly string[], cwd: string): number;
  /** Builds the folder, which has a Dockerfile, and a compose file that says `build: .`. @returns milliseconds */
  build(folder: string, flags: readonly string[]): number;
  pull(reference: string): number;
  /** Gives a pulled image a second name and pushes that; only the push is timed. */
  push(reference: string, target: string): number;
  removeImage(reference: string): void;
  load(archive: string): void;
  /** Resident kilobytes of the engine's processes, and of the monitors of all containers (proportional set size). */
  memory(): { readonly engineKb: number; readonly monitorsKb: number };
  /** CPU time that the engine's processes, and those of their children that ended, have used so far, milliseconds. */
  cpuMs(): number;
  stop(): void;
}

function timed(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env: NodeJS.ProcessEnv },
): number {
  const start = performance.now();
  const result = spawnSync(file, args, { ...options, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const elapsed = performance.now() - start;
  if (result.status !== 0) {
    throw new Error(`${file} ${args.join(" ")}: exit ${result.status}\n${result.stderr}\n${result.stdout}`);
  }
  return elapsed;
}

function processes(): readonly { readonly pid: string; readonly command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") }];
      } catch {
        return [];
      }
    });
}
/** Proportional set size, kB. */
function pss(pids: readonly string[]): number {
  return pids.reduce((sum, pid) => {
    try {
      return sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      return sum;
    }
  }, 0);
}
/** utime, stime, cutime, cstime of proc_pid_stat(5), in ticks of 10 ms on every Linux of today. */
function cpuMs(pids: readonly string[]): number {
  return pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return sum + 10 * fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0);
  }, 0);
}
const matching = (words: readonly string[]): string[] =>
  processes()
    .filter(({ command }) => words.every((word) => command.includes(word)))
    .map(({ pid }) => pid);

export function startTscompose(): Side {
  const root = mkdtempSync(join(tmpdir(), "bench-"));
  const runRoot = mkdtempSync("/run/bench-");
  const env = {
    ...process.env,
    TSCOMPOSE_DATA_ROOT: join(root, "data"),
    TSCOMPOSE_RUN_ROOT: runRoot,
  };
  const program = join(repository, "bin/tscompose");
  const run = (args: readonly string[], cwd?: string): number =>
    timed(program, args, { env, ...(cwd === undefined ? {} : { cwd }) });
  const forget = remember({ kind: "tscompose", root, runRoot, dataRoot: env.TSCOMPOSE_DATA_ROOT });
  run(["ls"]);
  return {
    name: "tscompose",
    socketPath: join(runRoot, "docker.sock"),
    compose: run,
    build: (folder, flags) => run(["build", ...flags], folder),
    pull: (reference) => {
      const project = join(root, "pull");
      mkdirSync(project, { recursive: true });
      return timed("sh", ["-c", `echo "services: {a: {image: $0}}" | ${program} -f - -p pull pull -q`, reference], {
        env,
        cwd: project,
      });
    },
    push: (reference, target) => {
      const project = join(root, "push");
      mkdirSync(project, { recursive: true });
      const colon = target.lastIndexOf(":");
      const query = `repo=${target.slice(0, colon)}&tag=${target.slice(colon + 1)}`;
      const socket = join(runRoot, "docker.sock");
      timed("curl", ["-sf", "-X", "POST", "--unix-socket", socket, `http://d/images/${reference}/tag?${query}`], {
        env,
      });
      writeFileSync(join(project, "compose.yaml"), `services: {a: {image: "${target}", build: .}}\n`);
      return run(["-p", "push", "push", "-q"], project);
    },
    removeImage: (reference) =>
      void spawnSync("curl", [
        "-s",
        "-X",
        "DELETE",
        "--unix-socket",
        join(runRoot, "docker.sock"),
        `http://d/images/${reference}?force=1`,
      ]),
    load: (archive) => void run(["load", "-q", "-i", archive]),
    cpuMs: () => cpuMs(matching(["tscompose", "engine serve"])),
    memory: () => ({
      engineKb: pss(matching(["tscompose", "engine serve"])),
      monitorsKb: pss(matching(["conmon", root])),
    }),
    stop: () => {
      run(["engine", "stop"]);
      for (const path of [root, runRoot]) rmSync(path, { recursive: true, force: true });
      forget();
    },
  };
}

/** @returns undefined when no peer is there */
export function startDocker(): Side | undefined {
  const directory = mkdtempSync(join(tmpdir(), "bench-docker-"));
  mkdirSync(join(directory, "run"));
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(directory, "run")]);
  const forget = remember({ kind: "peer", directory });
  const engine = startPeerEngine(directory);
  if (engine === undefined) {
    forget();
    execFileSync("umount", [join(directory, "run")]);
    rmSync(directory, { recursive: true });
    return undefined;
  }
  const env = { ...process.env, DOCKER_HOST: engine.host, DOCKER_CONFIG: join(directory, "config") };
  const docker = join(directory, "bin/docker");
  const engineProcesses = (): string[] => [
    ...matching([`${directory}/data`]),
    ...matching(["containerd", "--config", directory]),
  ];
  return {
    name: "docker",
    socketPath: engine.host.replace("unix://", ""),
    compose: (args, cwd) => timed(join(directory, "bin/docker-compose"), args, { env, cwd }),
    build: (folder, flags) => timed(docker, ["build", "-t", "bench-build", ...flags, "."], { env, cwd: folder }),
    pull: (reference) => timed(docker, ["pull", "-q", reference], { env }),
    push: (reference, target) => {
      timed(docker, ["tag", reference, target], { env });
      return timed(docker, ["push", "-q", target], { env });
    },
    removeImage: (reference) => void spawnSync(docker, ["rmi", "-f", reference], { env }),
    load: (archive) => void timed(docker, ["load", "-q", "-i", archive], { env }),
    cpuMs: () => cpuMs(engineProcesses()),
    memory: () => ({
      engineKb: pss(engineProcesses()),
      monitorsKb: pss(matching(["containerd-shim", directory])),
    }),
    stop: () => {
      engine.stop();
      rmSync(directory, { recursive: true, force: true });
      forget();
    },
  };
}
