import { isTscomposeError } from "../errors.ts";
import { label } from "../planner/labels.ts";
import { logName } from "../planner/names.ts";
import type { ObservedContainer } from "../planner/observed.ts";
import { observeContainers } from "../planner/observe.ts";

import { nanoTime } from "./api-time.ts";
import { type Channel, createChannel } from "./channel.ts";
import type { ComposeContext, ProjectReference } from "./context.ts";
import { EngineReturn } from "./engine-return.ts";
import { followLines, openLog } from "./follow-lines.ts";
import { outputLines } from "./log-lines.ts";
import { checkServices, oneContainer, serviceContainers } from "./select.ts";

export interface LogsOptions {
  readonly services: readonly string[];
  /** 0: all replicas; else the replica of that number, of exactly one service. */
  readonly index: number;
  /** Also those that start later. */
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tail: number | "all";
  /** What the engine parses: Unix seconds, RFC 3339 or a duration. */
  readonly since: string | undefined;
  readonly until: string | undefined;
}

export type LogEvent =
  | { readonly kind: "container"; readonly name: string }
  | { readonly kind: "line"; readonly name: string; readonly stream: "stdout" | "stderr"; readonly text: string };

/** What the containers wrote. Each is announced before its first line, so that names can be aligned. Without `follow` one after the
 *  other, by name; with it as it comes, until the signal fires. */
export async function* logs(
  context: ComposeContext,
  reference: ProjectReference,
  options: LogsOptions,
): AsyncGenerator<LogEvent, void, void> {
  const [only, ...others] = options.services;
  const service = others.length === 0 ? only : undefined;
  const all = await observeContainers(context.docker, reference.name, context.signal, service);
  checkServices(reference, all, options.services);
  const chosen = chooseContainers(reference, all, options);
  for (const container of chosen) yield { kind: "container", name: logName(reference.name, container.name) };
  if (options.follow) yield* followAll(context, reference, { ...options, chosen });
  else for (const container of chosen) yield* containerLines(context, reference, { container, ...options });
}

function chooseContainers(
  { project }: ProjectReference,
  all: readonly ObservedContainer[],
  { services, index }: LogsOptions,
): readonly ObservedContainer[] {
  if (index > 0) return [oneContainer(all, services[0] ?? "", { index, running: false })];
  const silent =
    services.length > 0 ? [] : Object.entries(project?.services ?? {}).filter(([, spec]) => spec.attach === false);
  const muted = new Set(silent.map(([name]) => name));
  return serviceContainers(all, services).filter(({ service }) => !muted.has(service));
}

export interface ContainerLinesOptions extends Pick<LogsOptions, "follow" | "timestamps" | "tail" | "since" | "until"> {
  readonly container: Pick<ObservedContainer, "id" | "name" | "service">;
}

/** The lines of one container. One that is removed meanwhile ends quietly. Followed ones go on where they were after a restart of
 *  the engine. */
export async function* containerLines(
  context: ComposeContext,
  { name: project }: ProjectReference,
  { container: { id, name: fullName }, follow, ...options }: ContainerLinesOptions,
  engineReturn = new EngineReturn(context),
): AsyncGenerator<Extract<LogEvent, { readonly kind: "line" }>, void, void> {
  const { docker, signal } = context;
  const name = logName(project, fullName);
  try {
    const { Config: config } = await docker.getContainer(id).inspect({ abortSignal: signal });
    const tty = config.Tty === true;
    const lines =
      follow && context.engineReturns
        ? followLines(context, engineReturn, { id, tty, ...options })
        : outputLines(await openLog(context, id, { follow, ...options }), { tty, signal });
    for await (const line of lines) yield { kind: "line", name, ...line };
  } catch (error) {
    if (isTscomposeError(error, "container/not-found") || signal.aborted) return;
    throw error;
  }
}

/** Follows the chosen, and by the engine's events whatever of these services starts afterwards. */
async function* followAll(
  context: ComposeContext,
  reference: ProjectReference,
  options: LogsOptions & { readonly chosen: readonly ObservedContainer[] },
): AsyncGenerator<LogEvent, void, void> {
  const channel = createChannel<LogEvent>();
  const engineReturn = new EngineReturn(context);
  const following = new Set<string>();
  const follow = (
    container: ContainerLinesOptions["container"],
    since: string | undefined,
    tail: number | "all",
  ): void => {
    if (following.has(container.id)) return;
    following.add(container.id);
    pump(containerLines(context, reference, { ...options, container, since, tail }, engineReturn), channel)
      .catch((error: unknown) => channel.close(error))
      .finally(() => following.delete(container.id));
  };
  for (const container of options.chosen) follow(container, options.since, options.tail);
  const begin = (container: ContainerLinesOptions["container"], since: string): void => {
    if (options.services.length > 0 && !options.services.includes(container.service)) return;
    if (following.has(container.id)) return;
    channel.push({ kind: "container", name: logName(reference.name, container.name) });
    follow(container, since, "all");
  };
  const watchOnce = async (): Promise<void> => {
    const filters = {
      type: ["container"],
      event: ["start"],
      label: [`${label.project}=${reference.name}`, `${label.oneoff}=False`],
    };
    for await (const event of context.docker.events({ filters, abortSignal: context.signal })) {
      const { name = "", [label.service]: service = "" } = event.Actor.Attributes;
      begin({ id: event.Actor.ID, name, service }, nanoTime(event.timeNano));
    }
  };
  const watch = async (): Promise<void> => {
    for (;;) {
      const since = String(Date.now() / 1000);
      try {
        await watchOnce();
        if (context.signal.aborted || !context.engineReturns) return;
      } catch (error) {
        if (!engineReturn.isBroken(error)) throw error;
      }
      await engineReturn.wait();
      // An engine that has come back does not know what started before it did.
      const now = await observeContainers(context.docker, reference.name, context.signal);
      for (const container of serviceContainers(now, options.services)) {
        if (container.state === "running") begin(container, since);
      }
    }
  };
  watch().then(
    () => channel.close(),
    (error: unknown) => channel.close(context.signal.aborted ? undefined : error),
  );
  yield* channel;
}

async function pump(source: AsyncIterable<LogEvent>, channel: Channel<LogEvent>): Promise<void> {
  for await (const event of source) {
    channel.push(event);
    await channel.room();
  }
}
