/** `up` in the foreground: the output of the services until they end or the user stops them. */
import { attachOutput, type AttachedEvent } from "../compose/attach-output.ts";
import { converge, type ConvergeOptions } from "../compose/converge.ts";
import { simple, stop } from "../compose/lifecycle.ts";
import { TscomposeError } from "../errors.ts";
import { logName } from "../planner/names.ts";
import { observeContainers } from "../planner/observe.ts";
import type { Project } from "../spec/model.ts";

import type { App, AppContext } from "./app.ts";
import { useColour } from "./colour.ts";
import type { UpFlags } from "./commands/up.ts";
import { ExitCode } from "./exit-codes.ts";
import { createLogPrefixes, type LogPrefixes } from "./output/log-prefix.ts";

export interface AttachedUp {
  readonly context: AppContext;
  readonly project: Project;
  readonly options: ConvergeOptions;
  readonly flags: UpFlags;
  /** Named on the command line. */
  readonly services: readonly string[];
}

/** @throws ExitCode with 130 after Ctrl-C, or with that of the container that ended it all. */
export async function upAttached(app: App, { context, project, options, flags, services }: AttachedUp): Promise<void> {
  const sets = attachSets(project, services, flags);
  const interrupts = new AbortController();
  const setup: AppContext = { ...context, signal: interrupts.signal };
  const session = new AbortController();
  const reference = { name: project.name, project };
  const output = attachOutput({ ...context, signal: session.signal }, reference, {
    shows: (service) => sets.shown.has(service),
    watches: (service) => sets.watched.has(service),
    timestamps: flags.timestamps === true,
  });
  let stopping: Promise<void> | undefined;
  let code: number | undefined;
  const stopServices = (): Promise<void> =>
    (stopping ??= stop(context, reference, { services, timeoutSeconds: undefined }).finally(() => void output.close()));
  app.onInterrupt((count) => {
    code = 130;
    if (count === 1) {
      app.terminal.stderr.write("\nGracefully Stopping... press Ctrl+C again to force\n");
      interrupts.abort();
      stopServices().catch((error: unknown) => app.warn(error instanceof Error ? error.message : String(error)));
    } else {
      simple(context, reference, { verb: "kill", services, signal: "SIGKILL" }).catch(() => undefined);
    }
  });
  try {
    await output.ready;
    const before = await observeContainers(context.docker, project.name, context.signal);
    const running = before.filter(
      ({ state, oneoff, service }) => state === "running" && !oneoff && sets.shown.has(service),
    );
    await output.skipPast(before.filter(({ state, oneoff }) => !oneoff && (state === "exited" || state === "dead")));
    await converge(setup, project, options);
    await context.progress.end();
    const prefixes = prepare(app, { flags, names: await attachedNames(context, project, sets.shown) });
    const kept = await stillThere(context, project.name, running);
    output.follow(kept);
    const alive = await countRunning(context, project.name, sets.watched);
    const end = await watch(app, { events: output, prefixes, flags, sets, alive, stopServices });
    code ??= end;
  } catch (error) {
    if (code === undefined) throw error;
  } finally {
    if (stopping !== undefined) await stopping.catch(() => undefined);
    await output.close();
    session.abort();
  }
  if (code !== undefined && code !== 0) throw new ExitCode(code);
}

interface AttachSets {
  readonly shown: ReadonlySet<string>;
  readonly watched: ReadonlySet<string>;
}

/** @throws compose/usage for a service that this `up` does not include. */
function attachSets(project: Project, services: readonly string[], flags: UpFlags): AttachSets {
  const all = Object.keys(project.services);
  for (const name of [
    ...flags.attach,
    ...flags.noAttach,
    ...(flags.exitCodeFrom === undefined ? [] : [flags.exitCodeFrom]),
  ]) {
    if (!all.includes(name)) {
      throw new TscomposeError("compose/usage", `cannot attach to services not included in up: ${name}`, {
        hint: `services: ${all.join(", ")}`,
      });
    }
  }
  const named = services.length === 0 || flags.attachDependencies === true ? all : services;
  const base =
    flags.attach.length > 0 ? flags.attach : named.filter((name) => project.services[name]?.attach !== false);
  const shown = new Set(base.filter((name) => !flags.noAttach.includes(name)));
  return { shown, watched: services.length > 0 ? new Set(services) : shown };
}

async function attachedNames(
  context: AppContext,
  project: Project,
  shown: ReadonlySet<string>,
): Promise<readonly string[]> {
  const containers = await observeContainers(context.docker, project.name, context.signal);
  return containers
    .filter(({ service, oneoff }) => !oneoff && shown.has(service))
    .map(({ name }) => logName(project.name, name));
}

function prepare(
  app: App,
  { flags, names }: { readonly flags: UpFlags; readonly names: readonly string[] },
): LogPrefixes {
  const { stdout } = app.terminal;
  const prefixes = createLogPrefixes({
    prefix: flags.noLogPrefix !== true,
    colour: flags.noColor !== true && useColour(app, stdout),
  });
  for (const name of names) prefixes.add(name);
  if (names.length > 0) stdout.write(`Attaching to ${names.join(", ")}\n`);
  return prefixes;
}

/** Those that this `up` has left alone: what they write from now on is shown. */
async function stillThere<T extends { readonly id: string }>(
  context: AppContext,
  project: string,
  running: readonly T[],
): Promise<readonly T[]> {
  if (running.length === 0) return [];
  const now = await observeContainers(context.docker, project, context.signal);
  return running.filter(({ id }) => now.some((container) => container.id === id && container.state === "running"));
}

async function countRunning(
  context: AppContext,
  project: string,
  watched: ReadonlySet<string>,
): Promise<() => Promise<number>> {
  const count = async (): Promise<number> => {
    const containers = await observeContainers(context.docker, project, context.signal);
    return containers.filter(
      ({ service, oneoff, state }) =>
        !oneoff && watched.has(service) && (state === "running" || state === "restarting" || state === "paused"),
    ).length;
  };
  return Promise.resolve(count);
}

interface Watching {
  readonly events: AsyncIterable<AttachedEvent> & { close(): Promise<void> };
  readonly prefixes: LogPrefixes;
  readonly flags: UpFlags;
  readonly sets: AttachSets;
  readonly alive: () => Promise<number>;
  readonly stopServices: () => Promise<void>;
}

/** Prints until nothing that is watched runs any more. Returns the exit code to end with; undefined: none in particular. */
async function watch(
  app: App,
  { events, prefixes, flags, sets, alive, stopServices }: Watching,
): Promise<number | undefined> {
  const { stdout, stderr } = app.terminal;
  let code: number | undefined;
  const cascade =
    flags.abortOnContainerExit === true || (flags.exitCodeFrom !== undefined && flags.abortOnContainerFailure !== true);
  if ((await alive()) === 0) void events.close();
  for await (const event of events) {
    switch (event.kind) {
      case "container":
        prefixes.add(event.name);
        break;
      case "line":
        (event.stream === "stdout" ? stdout : stderr).write(`${prefixes.line(event.name, event.text)}\n`);
        break;
      case "exit": {
        const again = event.restarting ? " (restarting)" : "";
        if (sets.shown.has(event.service))
          stdout.write(`${prefixes.status(event.name, `exited with code ${event.exitCode}${again}`)}\n`);
        if (event.restarting || !sets.watched.has(event.service)) break;
        if (flags.exitCodeFrom === event.service) code ??= event.exitCode;
        const aborts = cascade || (flags.abortOnContainerFailure === true && event.exitCode !== 0);
        if (aborts) {
          if (flags.exitCodeFrom === undefined) code ??= event.exitCode;
          stderr.write("Aborting on container exit...\n");
          stopServices().catch((error: unknown) => app.warn(error instanceof Error ? error.message : String(error)));
        } else if ((await alive()) === 0) void events.close();
        break;
      }
    }
  }
  return code;
}
