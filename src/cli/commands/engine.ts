/** `tscompose engine serve | status | stop | logs | install`. Each gives its exit code. */
import { existsSync, statSync, writeFileSync } from "node:fs";
import { TscomposeError, errnoOf, errorMessage } from "../../errors.ts";
import { engineAnswers } from "../engine/ensure.ts";
import { followFile, lastLines } from "../engine/follow-log.ts";
import { engineArgv, engineEnvironment, namespaceVariable } from "../engine/reexec.ts";
import { resolveRoots } from "../engine/roots.ts";
import type { Environment } from "../engine/roots.ts";
import { readNetworkSettings } from "../engine/network-settings.ts";
import { version } from "../version.ts";

export interface EngineCommandContext {
  readonly env: Environment;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Fires when the user wants to stop watching. */
  readonly signal: AbortSignal;
}

/** Runs the engine in the foreground, in a mount namespace of its own, until it is told to leave. */
export async function engineServe(context: EngineCommandContext): Promise<number> {
  if (context.env[namespaceVariable] !== "own") {
    const { runForeground } = await import("../../host/detached-process.ts");
    return await runForeground(engineArgv(process.execPath, entryFile(context.env)), engineEnvironment(context.env));
  }
  const log = (line: string): void => context.stderr(`${new Date().toISOString()} ${line}\n`);
  process.on("unhandledRejection", (error) => log(`unhandled: ${describe(error)}`));
  const [{ serveEngine }, { createLocalEngine }] = await Promise.all([
    import("../engine/serve.ts"),
    import("../../engine/local-engine.ts"),
  ]);
  const runtime = context.env["TSCOMPOSE_RUNTIME"] || undefined;
  await serveEngine({
    env: context.env,
    createEngine: async ({ dataRoot, runRoot }) =>
      await createLocalEngine({
        dataRoot,
        runRoot,
        log,
        privateMounts: true,
        version,
        // "0": health checks on Docker's schedule only.
        eagerHealth: context.env["TSCOMPOSE_EAGER_HEALTH"] !== "0",
        network: readNetworkSettings(context.env),
        usernsRemap: context.env["TSCOMPOSE_USERNS_REMAP"],
        cgroupDriver: context.env["TSCOMPOSE_CGROUP_DRIVER"],
        cdiDirectories: context.env["TSCOMPOSE_CDI_SPEC_DIRS"]?.split(":"),
        ...(runtime === undefined ? {} : { runtime }),
      }),
    log,
  });
  return 0;
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

function entryFile(env: Environment): string {
  const entry = env["TSCOMPOSE_ENTRY"] ?? process.argv[1];
  if (entry === undefined) throw new Error("this program does not know its own file");
  return entry;
}

/** Prints what runs; exit code 1 when no engine does. */
export async function engineStatus(
  context: EngineCommandContext,
  options: { readonly json: boolean },
): Promise<number> {
  const roots = resolveRoots(context.env);
  const running = await engineAnswers(roots.socketPath);
  const report = {
    running,
    socket: roots.socketPath,
    dataRoot: roots.dataRoot,
    log: roots.logPath,
    ...(running ? await askEngine(roots.socketPath) : {}),
  };
  if (options.json) context.stdout(`${JSON.stringify(report)}\n`);
  else context.stdout(renderStatus(report));
  return running ? 0 : 1;
}

async function askEngine(socketPath: string): Promise<Readonly<Record<string, unknown>>> {
  const { Docker } = await import("../../client/docker.ts");
  const docker = new Docker({ socketPath });
  try {
    const info = await docker.info();
    const { ServerVersion: version, Containers: containers, ContainersRunning: containersRunning } = info;
    return { version, containers, containersRunning };
  } finally {
    docker.close();
  }
}

function renderStatus(report: Readonly<Record<string, unknown>>): string {
  const labels: readonly (readonly [key: string, label: string])[] = [
    ["version", "Version"],
    ["containersRunning", "Containers running"],
    ["containers", "Containers"],
    ["socket", "Socket"],
    ["dataRoot", "Data root"],
    ["log", "Log"],
  ];
  const lines = labels.filter(([key]) => report[key] !== undefined);
  const title = report["running"] === true ? "The engine is running." : "The engine is not running.";
  return [title, ...lines.map(([key, label]) => `  ${`${label}:`.padEnd(20)} ${String(report[key])}`), ""].join("\n");
}

/** Ends the engine; containers go on. */
export async function engineStop(
  context: EngineCommandContext,
  options: { readonly timeoutSeconds: number },
): Promise<number> {
  const roots = resolveRoots(context.env);
  const { findEngine, stopEngine } = await import("../engine/running-engine.ts");
  const identity = findEngine(roots);
  if (identity === undefined) {
    context.stderr("The engine is not running.\n");
    return 0;
  }
  if (!(await stopEngine(identity, options.timeoutSeconds * 1000))) {
    throw new TscomposeError(
      "engine/failed",
      `the engine (pid ${identity.pid}) still runs after ${options.timeoutSeconds} s`,
      {
        hint: `look into ${roots.logPath}; \`kill -9 ${identity.pid}\` is safe, containers go on`,
      },
    );
  }
  context.stderr("The engine has stopped. Containers go on running.\n");
  return 0;
}

/** Prints the engine's log. */
export async function engineLogs(
  context: EngineCommandContext,
  options: { readonly follow: boolean; readonly tail: number | undefined },
): Promise<number> {
  const { logPath } = resolveRoots(context.env);
  if (!existsSync(logPath)) {
    throw new TscomposeError(
      "request/not-found",
      `there is no log at ${logPath}: no engine was started on demand here`,
      {
        hint: "an engine started by systemd logs to the journal: `journalctl -u tscompose`",
      },
    );
  }
  const { size } = statSync(logPath);
  context.stdout(lastLines(logPath, options.tail));
  if (options.follow) await followFile(logPath, size, { signal: context.signal, write: context.stdout });
  return 0;
}

const unitPath = "/etc/systemd/system/tscompose.service";

/** Writes a systemd unit that starts the engine at boot; with `print` only shows it. */
export async function engineInstall(
  context: EngineCommandContext,
  options: { readonly print: boolean },
): Promise<number> {
  const { renderUnit } = await import("../engine/systemd-unit.ts");
  const unit = renderUnit(process.execPath, entryFile(context.env), context.env);
  if (options.print) {
    context.stdout(unit);
    return 0;
  }
  try {
    writeFileSync(unitPath, unit, { mode: 0o644 });
  } catch (error) {
    throw new TscomposeError("host/permission", `cannot write ${unitPath}: ${errnoOf(error) ?? errorMessage(error)}`, {
      cause: error,
      hint: "run the command as root on a machine with systemd, or use --print and place the unit yourself",
    });
  }
  context.stdout(`Wrote ${unitPath}. Start it with: systemctl daemon-reload && systemctl enable --now tscompose\n`);
  return 0;
}
