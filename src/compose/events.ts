import type { EventMessage } from "../api/wire.ts";
import { label } from "../planner/labels.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { nanoTime } from "./api-time.ts";
import { checkServices } from "./select.ts";

export interface EventsOptions {
  readonly services: readonly string[];
  /** As the API takes them. */
  readonly since: string | undefined;
  readonly until: string | undefined;
}

export interface ProjectEvent {
  readonly time: Date;
  readonly service: string;
  readonly id: string;
  readonly action: string;
  /** Without Docker Compose's own labels. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** What happens to the containers of the services, until `until` or the signal. */
export async function* events(
  context: ComposeContext,
  reference: ProjectReference,
  { services, since, until }: EventsOptions,
): AsyncGenerator<ProjectEvent, void, void> {
  if (services.length > 0) {
    checkServices(reference, await observeContainers(context.docker, reference.name, context.signal), services);
  }
  const query = {
    filters: { type: ["container"], label: [`${label.project}=${reference.name}`] },
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    abortSignal: context.signal,
  };
  for await (const event of context.docker.events(query)) {
    const service = event.Actor.Attributes[label.service] ?? "";
    if (event.Actor.Attributes[label.oneoff] === "True" || (services.length > 0 && !services.includes(service)))
      continue;
    yield toProjectEvent(event, service);
  }
}

function toProjectEvent({ Actor, Action, timeNano }: EventMessage, service: string): ProjectEvent {
  const attributes = Object.entries(Actor.Attributes).filter(([key]) => !key.startsWith("com.docker.compose."));
  return {
    time: new Date(Number(nanoTime(timeNano)) * 1000),
    service,
    id: Actor.ID,
    action: Action,
    attributes: Object.fromEntries(attributes.toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}
