import type { Readable } from "node:stream";

import { isTscomposeError } from "../errors.ts";
import { label } from "../planner/labels.ts";
import { logName } from "../planner/names.ts";
import type { ObservedContainer } from "../planner/observed.ts";
import { observeContainers } from "../planner/observe.ts";

import { type Channel, createChannel } from "./channel.ts";
import type { ComposeContext, ProjectReference } from "./context.ts";
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
  const all = await observeContainers(context.docker, reference.name, context.signal);
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

/** The lines of one container. One that is removed meanwhile ends quietly. */
export async function* containerLines(
  { docker, signal }: ComposeContext,
  { name: project }: ProjectReference,
  { container, follow, timestamps, tail, since, until }: ContainerLinesOptions,
): AsyncGenerator<Extract<LogEvent, { readonly kind: "line" }>, void, void> {
  const name = logName(project, container.name);
  const options = {
    follow,
    stdout: true,
    stderr: true,
    timestamps,
    tail,
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    abortSignal: signal,
  };
  try {
    // dockerode's `logs` gathers what it does not follow; logs can be larger than memory, so the route is asked for its stream.
    const [{ Config: config }, stream] = await Promise.all([
      docker.getContainer(container.id).inspect({ abortSignal: signal }),
      docker.modem.request<Readable>("containerLogs", { parameters: { id: container.id }, options }),
    ]);
    for await (const line of outputLines(stream, { tty: config.Tty === true, signal }))
      yield { kind: "line", name, ...line };
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
  const following = new Set<string>();
  const follow = (
    container: ContainerLinesOptions["container"],
    since: string | undefined,
    tail: number | "all",
  ): void => {
    if (following.has(container.id)) return;
    following.add(container.id);
    pump(containerLines(context, reference, { ...options, container, since, tail }), channel)
      .catch((error: unknown) => channel.close(error))
      .finally(() => following.delete(container.id));
  };
  for (const container of options.chosen) follow(container, options.since, options.tail);
  const watch = async (): Promise<void> => {
    const filters = {
      type: ["container"],
      event: ["start"],
      label: [`${label.project}=${reference.name}`, `${label.oneoff}=False`],
    };
    for await (const event of context.docker.events({ filters, abortSignal: context.signal })) {
      const { name = "", [label.service]: service = "" } = event.Actor.Attributes;
      if (options.services.length > 0 && !options.services.includes(service)) continue;
      channel.push({ kind: "container", name: logName(reference.name, name) });
      follow({ id: event.Actor.ID, name, service }, nanoTime(event.timeNano), "all");
    }
  };
  watch().then(
    () => channel.close(),
    (error: unknown) => channel.close(context.signal.aborted ? undefined : error),
  );
  yield* channel;
}

async function pump(source: AsyncIterable<LogEvent>, channel: Channel<LogEvent>): Promise<void> {
  for await (const event of source) channel.push(event);
}

/** Unix nanoseconds as the `seconds.nanoseconds` of the API. */
export function nanoTime(nanoseconds: string): string {
  const digits = nanoseconds.padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** RFC 3339 as the same. */
export function apiTime(text: string): string {
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? "";
  return `${Math.floor(Date.parse(text) / 1000)}.${fraction.padEnd(9, "0")}`;
}
