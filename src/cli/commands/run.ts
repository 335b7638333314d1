import type { Command } from "commander";

import { run as runOneOff, type RunOptions } from "../../compose/run.ts";
import { TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import { attachTerminal, wantsTty } from "../attach-terminal.ts";
import { ExitCode } from "../exit-codes.ts";
import { collect, isTrue } from "../globals.ts";
import { exclusive } from "../option-values.ts";
import { plainNo } from "../plain-no.ts";
import type { RunCommand } from "../program.ts";
import { parsePublish, parseVolume, splitWords } from "../run-values.ts";
import { printLines } from "../terminal.ts";
import { environmentEntry } from "./exec.ts";
import { pullOverride } from "./up.ts";

interface RunFlags {
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly detach?: boolean;
  readonly entrypoint?: string;
  readonly env: readonly string[];
  readonly envFromFile: readonly string[];
  readonly interactive: string | boolean;
  readonly label: readonly string[];
  readonly name?: string;
  readonly noDeps?: boolean;
  readonly noTty?: boolean;
  readonly tty?: boolean;
  readonly publish: readonly string[];
  readonly pull: string;
  readonly quiet?: boolean;
  readonly quietPull?: boolean;
  readonly removeOrphans?: boolean;
  readonly rm?: boolean;
  readonly servicePorts?: boolean;
  readonly useAliases?: boolean;
  readonly user?: string;
  readonly volume: readonly string[];
  readonly workdir?: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<service>")
    .argument("[command...]")
    .passThroughOptions()
    .option("--cap-add <name>", "add a capability (repeatable)", collect, [])
    .option("--cap-drop <name>", "drop a capability (repeatable)", collect, [])
    .option("-d, --detach", "start it, print its id and return")
    .option("--entrypoint <command>", "instead of the service's entrypoint")
    .option("-e, --env <name=value>", "set a variable (repeatable)", collect, [])
    .option("--env-from-file <path>", "set variables from a file (repeatable)", collect, [])
    .option("-i, --interactive [bool]", "keep standard input open", true)
    .option("-l, --label <name=value>", "add a label (repeatable)", collect, [])
    .option("--name <name>", "name of the container")
    .addOption(plainNo("--no-deps", "leave dependencies alone"))
    .addOption(plainNo("-T, --no-tty", "no terminal"))
    .option("-t, --tty", "a terminal")
    .option("-p, --publish <port>", "publish a port (repeatable)", collect, [])
    .option("--pull <policy>", "pull images: always, missing, never", "policy")
    .option("-q, --quiet", "show no progress")
    .option("--quiet-pull", "do not show the progress of pulls")
    .option("--remove-orphans", "remove containers of services that are not in the compose file")
    .option("--rm", "remove the container when it ends")
    .option("-P, --service-ports", "publish the ports of the service")
    .option("--use-aliases", "answer to the names of the service on its networks")
    .option("-u, --user <user>", "as this user")
    .option("-v, --volume <mount>", "mount a volume or folder: source:target[:ro] (repeatable)", collect, [])
    .option("-w, --workdir <path>", "in this folder")
    .action((service: string, argv: readonly string[], flags: RunFlags) =>
      run((app) => runRun(app, { service, argv, flags })),
    );
}

interface Invocation {
  readonly service: string;
  readonly argv: readonly string[];
  readonly flags: RunFlags;
}

async function runRun(app: App, invocation: Invocation): Promise<void> {
  const { service, flags } = invocation;
  exclusive({ "--publish": flags.publish.length > 0, "--service-ports": flags.servicePorts === true }, [
    ["--publish", "--service-ports"],
  ]);
  const [project, context] = await Promise.all([
    app.loadProject({ command: "up", services: [service], dependencies: flags.noDeps === true ? "ignore" : "include" }),
    app.context({ quiet: flags.quiet === true }),
  ]);
  const oneOff = await runOneOff(context, project, await runOptions(app, invocation, project.environment));
  await context.progress.end();
  if (oneOff.session === undefined) {
    printLines(app.terminal.stdout, [oneOff.name]);
    return;
  }
  app.onInterrupt(() => {
    oneOff.kill("SIGINT").catch(() => undefined);
  });
  const code = await attachTerminal(app, oneOff.session, { interactive: String(flags.interactive) !== "false" });
  if (code !== 0) throw new ExitCode(code);
}

async function runOptions(
  app: App,
  { service, argv, flags }: Invocation,
  environment: Readonly<Record<string, string>>,
): Promise<RunOptions> {
  const interactive = String(flags.interactive) !== "false" && flags.detach !== true;
  const orphans =
    flags.removeOrphans === true
      ? "remove"
      : isTrue(app.terminal.environment["COMPOSE_IGNORE_ORPHANS"])
        ? "ignore"
        : "warn";
  return {
    service,
    command: argv,
    entrypoint: flags.entrypoint === undefined ? undefined : splitWords(flags.entrypoint),
    environment: [
      ...(await fromFiles(flags.envFromFile)),
      ...flags.env.flatMap((entry) => environmentEntry(entry, environment)),
    ],
    labels: Object.fromEntries(flags.label.map(labelEntry)),
    name: flags.name,
    user: flags.user,
    workdir: flags.workdir,
    volumes: flags.volume.map((text) => parseVolume(text, app.terminal.cwd)),
    ports: flags.servicePorts === true ? "service" : flags.publish.flatMap(parsePublish),
    capAdd: flags.capAdd,
    capDrop: flags.capDrop,
    aliases: flags.useAliases === true ? "all" : "name",
    tty: flags.detach !== true && wantsTty(app.terminal, { tty: flags.tty, noTty: flags.noTty, interactive }),
    interactive,
    detach: flags.detach === true,
    remove: flags.rm === true,
    dependencies: flags.noDeps === true ? "leave" : "start",
    orphans,
    pull: pullOverride(flags.pull),
    layerProgress: flags.quietPull !== true,
  };
}

async function fromFiles(paths: readonly string[]): Promise<readonly string[]> {
  if (paths.length === 0) return [];
  const { readFile } = await import("node:fs/promises");
  const { parse } = await import("dotenv");
  const files = await Promise.all(paths.map((path) => readFile(path)));
  return files.flatMap((file) => Object.entries(parse(file)).map(([name, value]) => `${name}=${value}`));
}

function labelEntry(entry: string): readonly [string, string] {
  const equals = entry.indexOf("=");
  if (equals > 0) return [entry.slice(0, equals), entry.slice(equals + 1)];
  throw new TscomposeError("compose/usage", `label "${entry}" has no value`, { hint: "write NAME=VALUE" });
}
