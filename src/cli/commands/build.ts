import type { Command } from "commander";

import { build, type BuildOptions } from "../../compose/build.ts";
import type { SshSource } from "../../compose/context.ts";
import { TscomposeError } from "../../errors.ts";
import type { Project } from "../../spec/model.ts";
import { parseBytes } from "../../spec/units.ts";

import type { App, AppContext } from "../app.ts";
import { ExitCode } from "../exit-codes.ts";
import { collect, withProgress } from "../globals.ts";
import type { RunCommand } from "../program.ts";
import { plainNo } from "../plain-no.ts";
import { createBuildView } from "../progress/build-view.ts";
import { printLines } from "../terminal.ts";

interface BuildFlags {
  readonly buildArg: readonly string[];
  readonly builder?: string;
  readonly cacheFrom: readonly string[];
  readonly cacheTo: readonly string[];
  readonly check?: boolean;
  readonly debugShell?: boolean;
  readonly memory?: string;
  readonly noCache?: boolean;
  readonly print?: boolean;
  readonly progress?: string;
  readonly provenance?: string;
  readonly pull?: boolean;
  readonly push?: boolean;
  readonly quiet?: boolean;
  readonly sbom?: string;
  readonly ssh: readonly string[];
  readonly withDependencies?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--build-arg <name=value>", "set a build argument (repeatable)", collect, [])
    .option("--builder <name>", "for Docker's scripts: there is one builder, default")
    .option(
      "--cache-from <source>",
      "take results of steps from there: an image, or type=... (repeatable)",
      collect,
      [],
    )
    .option("--cache-to <target>", "write the results of steps there: type=... (repeatable)", collect, [])
    .option("--check", "look for problems in the Dockerfiles, and build nothing")
    .option("--debug-shell", "when a RUN step fails, open a shell in the state before it")
    .option("-m, --memory <size>", "memory that a build step may use")
    .addOption(plainNo("--no-cache", "take nothing from the cache"))
    .option("--print", "print what would be built as JSON (a bake file), and do nothing")
    .option("--progress <mode>", "how progress is shown: auto, tty, plain, json, quiet")
    .option("--provenance <mode>", "for Docker's scripts: tscompose adds no attestations")
    .option("--pull", "ask the registry for newer base images")
    .option("--push", "push the images that were built")
    .option("-q, --quiet", "print nothing but failures")
    .option("--sbom <mode>", "for Docker's scripts: tscompose adds no attestations")
    .option(
      "--ssh <id=path>",
      "SSH agent or key for RUN --mount=type=ssh: default, or id=path (repeatable)",
      collect,
      [],
    )
    .option("--with-dependencies", "also build what they depend on")
    .action((services: readonly string[], flags: BuildFlags) => run((app) => runBuild(app, services, flags)));
}

async function runBuild(app: App, services: readonly string[], flags: BuildFlags): Promise<void> {
  checkFlags(app, flags);
  const dependencies = flags.withDependencies === true || services.length === 0 ? "include" : "ignore";
  const overrides = {
    noCache: flags.noCache === true,
    pull: flags.pull === true,
    args: buildArgs(flags.buildArg, app.terminal.environment),
    memoryBytes: flags.memory === undefined ? undefined : parseBytes(flags.memory),
    ssh: flags.ssh.flatMap(sshSources),
    cacheFrom: flags.cacheFrom,
    cacheTo: flags.cacheTo,
  };
  const loading = app.loadProject({ services, dependencies });
  if (flags.print === true) {
    const { bakeFile } = await import("../../compose/bake.ts");
    const file = bakeFile(await loading, { ...overrides, push: flags.push === true });
    printLines(app.terminal.stdout, [JSON.stringify(file, undefined, 2)]);
    return;
  }
  const [project, context] = await Promise.all([loading, app.context({ quiet: true })]);
  if (!Object.values(project.services).some((service) => service.build !== undefined)) {
    app.warn("no services to build");
    return;
  }
  await buildWithView(app, { project, context, flags }, overrides);
  if (flags.push !== true) return;
  const { push } = await import("../../compose/push.ts");
  await push(await app.context({ quiet: flags.quiet === true }), project, { ignoreFailures: false });
}

async function buildWithView(
  app: App,
  { project, context, flags }: { readonly project: Project; readonly context: AppContext; readonly flags: BuildFlags },
  overrides: BuildOptions,
): Promise<void> {
  const quiet = flags.quiet === true;
  const globals = flags.progress === undefined ? app.globals : withProgress(app.globals, flags.progress);
  const view = createBuildView({ globals, terminal: app.terminal, quiet });
  let warnings = 0;
  let kept: { readonly imageId: string; readonly command: readonly string[] } | undefined;
  try {
    const built = await build(context, project, {
      ...overrides,
      check: flags.check === true,
      debug: flags.debugShell === true,
      showsOutput: view.showsOutput,
      onProgress: (service, progress) => {
        if (progress.kind === "warning") warnings += 1;
        if (progress.kind === "debug") kept = progress;
        view.show(service, progress);
      },
    });
    view.end();
    if (flags.check === true) return endCheck(app, warnings);
    view.built(built);
  } catch (error) {
    view.end();
    if (kept !== undefined) await shell(app, context, kept);
    throw error;
  }
}

/** As BuildKit: findings are a failure. */
function endCheck(app: App, warnings: number): void {
  const text =
    warnings === 0
      ? "Check complete, no warnings found."
      : `Check complete, ${warnings} warning${warnings === 1 ? " has" : "s have"} been found!`;
  printLines(app.terminal.stdout, [text]);
  if (warnings > 0) throw new ExitCode(1);
}

async function shell(
  app: App,
  context: AppContext,
  kept: { readonly imageId: string; readonly command: readonly string[] },
): Promise<void> {
  const [{ debugShell }, { attachTerminal, wantsTty }] = await Promise.all([
    import("../../compose/debug-shell.ts"),
    import("../attach-terminal.ts"),
  ]);
  const tty = wantsTty(app.terminal, { tty: undefined, noTty: undefined, interactive: true });
  const failed = kept.command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
  printLines(app.terminal.stderr, [
    "This is the state before the step that failed, which runs:",
    `  ${failed}`,
    "Leave the shell with exit; nothing of what you change is kept.",
  ]);
  await debugShell(context, kept.imageId, {
    tty,
    attach: (session) => attachTerminal(app, session, { interactive: true }),
  });
}

function checkFlags(app: App, { builder, provenance, sbom }: BuildFlags): void {
  if (builder !== undefined && builder !== "" && builder !== "default")
    throw new TscomposeError("compose/usage", `there is no builder ${builder}`, {
      hint: "leave --builder out: the engine has one builder",
    });
  for (const [flag, value] of Object.entries({ "--provenance": provenance, "--sbom": sbom }))
    if (value !== undefined && value !== "false")
      app.warn(`${flag} has no effect here: tscompose adds no attestations`);
}

/** `default`, `id=path`, `id=path,id=path`; empty is `default`. @throws compose/usage */
function sshSources(text: string): readonly SshSource[] {
  return text.split(",").map((part) => {
    const at = part.indexOf("=");
    const id = at < 0 ? part : part.slice(0, at);
    if (at === 0)
      throw new TscomposeError("compose/usage", `--ssh ${text} has no id`, { hint: "write default or id=path" });
    return { id: id === "" ? "default" : id, path: at < 0 || at === part.length - 1 ? undefined : part.slice(at + 1) };
  });
}

/** `NAME=value`, or `NAME` for the value of the environment. @throws compose/usage */
function buildArgs(
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const pairs = given.flatMap((text): (readonly [string, string])[] => {
    const at = text.indexOf("=");
    if (at === 0) throw new TscomposeError("compose/usage", `--build-arg ${text} has no name`);
    if (at > 0) return [[text.slice(0, at), text.slice(at + 1)]];
    const value = environment[text];
    return value === undefined ? [] : [[text, value]];
  });
  return Object.fromEntries(pairs);
}
