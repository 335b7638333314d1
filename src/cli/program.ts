/** Flags to commands. A command's module is loaded when that command is run, so that `ps` does not pay for `up`. */
import { Command, CommanderError } from "commander";

import { TscomposeError } from "../errors.ts";

import type { App } from "./app.ts";
import { addGlobalOptions } from "./globals.ts";

/** A command's module: adds its arguments and flags, and says what it does. */
export interface CommandModule {
  readonly configure: (command: Command, run: RunCommand) => void;
}

/** Runs the command with an app made of the global flags. */
export type RunCommand = (body: (app: App) => Promise<void>) => Promise<void>;

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
  /** It changes something and cannot only show what it would do: `--dry-run` is refused, rather than ignored. */
  readonly changes?: true;
}

const commands: Readonly<Record<string, Entry>> = {
  up: { summary: "create and start the services", load: () => import("./commands/up.ts") },
  down: { summary: "stop and remove the services and their networks", load: () => import("./commands/down.ts") },
  create: {
    summary: "create containers without starting them",
    load: () => import("./commands/create.ts"),
    changes: true,
  },
  start: { summary: "start containers that exist", load: () => import("./commands/start.ts"), changes: true },
  stop: { summary: "stop containers", load: () => import("./commands/stop.ts"), changes: true },
  restart: { summary: "restart containers", load: () => import("./commands/restart.ts"), changes: true },
  kill: { summary: "send a signal to containers", load: () => import("./commands/kill.ts"), changes: true },
  rm: { summary: "remove stopped containers", load: () => import("./commands/rm.ts"), changes: true },
  pause: { summary: "freeze containers", load: () => import("./commands/pause.ts"), changes: true },
  unpause: { summary: "thaw containers", load: () => import("./commands/unpause.ts"), changes: true },
  run: {
    summary: "run a one-off command in a new container of a service",
    load: () => import("./commands/run.ts"),
    changes: true,
  },
  exec: { summary: "run a command in a running container", load: () => import("./commands/exec.ts"), changes: true },
  attach: {
    summary: "connect to the process of a running container",
    load: () => import("./commands/attach.ts"),
    changes: true,
  },
  logs: { summary: "show what containers wrote", load: () => import("./commands/logs.ts") },
  ps: { summary: "list containers", load: () => import("./commands/ps.ts") },
  ls: { summary: "list projects", load: () => import("./commands/ls.ts") },
  top: { summary: "show the processes of containers", load: () => import("./commands/top.ts") },
  stats: { summary: "show what containers use", load: () => import("./commands/stats.ts") },
  events: { summary: "show what happens to containers", load: () => import("./commands/events.ts") },
  port: { summary: "print the public side of a port", load: () => import("./commands/port.ts") },
  images: { summary: "list the images of containers", load: () => import("./commands/images.ts") },
  volumes: { summary: "list the volumes of the project", load: () => import("./commands/volumes.ts") },
  wait: { summary: "wait until services have ended", load: () => import("./commands/wait.ts"), changes: true },
  cp: { summary: "copy files to and from containers", load: () => import("./commands/cp.ts"), changes: true },
  export: { summary: "write the file system of a container as a tar", load: () => import("./commands/export.ts") },
  commit: { summary: "make an image of a container", load: () => import("./commands/commit.ts"), changes: true },
  scale: {
    summary: "set the number of containers of services",
    load: () => import("./commands/scale.ts"),
    changes: true,
  },
  build: { summary: "build the images of services", load: () => import("./commands/build.ts"), changes: true },
  pull: { summary: "pull the images of services", load: () => import("./commands/pull.ts"), changes: true },
  push: { summary: "push the images of services", load: () => import("./commands/push.ts"), changes: true },
  login: { summary: "log in to a registry", load: () => import("./commands/login.ts"), changes: true },
  logout: { summary: "log out from a registry", load: () => import("./commands/logout.ts"), changes: true },
  load: { summary: "load images from an archive", load: () => import("./commands/load.ts"), changes: true },
  config: { summary: "check the compose files and print what they mean", load: () => import("./commands/config.ts") },
  net: { summary: "partition services, cut one off, and heal", load: () => import("./commands/net.ts") },
  doctor: { summary: "check whether this machine can run containers", load: () => import("./commands/doctor.ts") },
  engine: {
    summary: "the engine process: status, stop, logs, serve",
    load: () => import("./commands/engine-flags.ts"),
    changes: true,
  },
  version: { summary: "print the version", load: () => import("./commands/version.ts") },
};

export interface ProgramInput {
  readonly argv: readonly string[];
  readonly version: string;
  /** Global flags, as commander read them, and what to do with the app made of them. */
  readonly run: (globals: object, body: (app: App) => Promise<void>) => Promise<void>;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** Reads the command line and runs what it says. @throws what the command throws; CommanderError, having said why. */
export async function runProgram({ argv, version, run, write, writeError }: ProgramInput): Promise<void> {
  const program = new Command("tscompose");
  program
    .description("Docker Engine and Docker Compose in one program")
    .usage("[options] <command>")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: writeError, outputError: (text, output) => output(text) })
    .showSuggestionAfterError(true)
    .version(version, "-v, --version", "print the version");
  addGlobalOptions(program);
  program.hook("preAction", (_program, action) => {
    if (action.getOptionValue("dryRun") === true) program.setOptionValue("dryRun", true);
  });
  const wanted = commandName(argv, program);
  // Only help and errors need the others.
  const alone =
    wanted !== undefined &&
    Object.hasOwn(commands, wanted) &&
    !argv.some((argument) => ["help", "-h", "--help"].includes(argument));
  for (const [name, entry] of Object.entries(commands)) {
    if (alone && name !== wanted) continue;
    const command = program.command(name).description(entry.summary).exitOverride();
    command.copyInheritedSettings(program);
    if (name !== wanted) continue;
    const module = await entry.load();
    module.configure(command, (body) => {
      const globals = program.opts();
      if (entry.changes === true && globals["dryRun"] === true) {
        throw new TscomposeError("compose/usage", `--dry-run is not possible with ${name}`, {
          hint: "it shows what up and down would do",
        });
      }
      return run(globals, body);
    });
  }
  if (wanted === undefined && argv.length === 0) {
    write(program.helpInformation());
    return;
  }
  await program.parseAsync([...argv], { from: "user" });
}

/** The first argument that is no flag and no flag's value. */
function commandName(argv: readonly string[], program: Command): string | undefined {
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? "";
    if (argument === "help") return argv[index + 1];
    if (!argument.startsWith("-") || argument === "-") return argument;
    if (argument.startsWith("--") && argument.includes("=")) continue;
    const option = program.options.find((one) => one.long === argument || one.short === argument);
    if (option?.required === true) index += 1;
  }
  return undefined;
}

export function isUsageError(error: unknown): error is CommanderError {
  return error instanceof CommanderError;
}
