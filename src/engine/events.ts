/** What happens in the engine, as Docker's event messages. In: typed facts from the services. Out: a ring of the last 256 and
 *  live subscriptions, filtered as Docker filters. Knows no sockets. Source: engine-api.md section 6; Docker Engine API /events. */
import { realtimeNs } from "../host/clock.ts";
import type { ContainerRecord } from "./containers/record.ts";
import type { EventService } from "./engine.ts";
import { PushQueue } from "./streams/push-queue.ts";
import type { EventMessage, Filters } from "./types.ts";

type ContainerAction =
  | "attach"
  | "archive-path"
  | "commit"
  | "copy"
  | "create"
  | "destroy"
  | "detach"
  | "die"
  | "exec_detach"
  | "exec_die"
  | `exec_create: ${string}`
  | `exec_start: ${string}`
  | "export"
  | "extract-to-dir"
  | `health_status: ${string}`
  | "kill"
  | "oom"
  | "pause"
  | "prune"
  | "rename"
  | "resize"
  | "restart"
  | "start"
  | "stop"
  | "top"
  | "unpause"
  | "update";
type ImageAction = "create" | "delete" | "import" | "load" | "prune" | "pull" | "push" | "save" | "tag" | "untag";
type NetworkAction =
  "connect" | "create" | "cut" | "destroy" | "disconnect" | "heal" | "partition" | "prune" | "remove";
type VolumeAction = "create" | "destroy" | "mount" | "prune" | "unmount";

/** `id`: of the thing it happened to, empty for `prune`. Container attributes hold `image`, `name` and the labels, flat. */
export type EngineEvent = {
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
} & (
  | { readonly type: "container"; readonly action: ContainerAction }
  | { readonly type: "image"; readonly action: ImageAction }
  | { readonly type: "network"; readonly action: NetworkAction }
  | { readonly type: "volume"; readonly action: VolumeAction }
  | { readonly type: "builder"; readonly action: "prune" }
  | { readonly type: "daemon"; readonly action: "reload" }
);

/** How the services see the bus. */
export type PublishEvent = (event: EngineEvent) => void;

/** Events that a late subscriber can still get, as with Docker. */
const ringSize = 256;
/** A subscriber that lets more wait than this is cut off. */
const subscriberLimit = 16_384;

export class EventBus implements EventService {
  readonly #now: () => bigint;
  readonly #ring: EventMessage[] = [];
  readonly #listeners = new Set<(message: EventMessage) => void>();
  #last = 0n;

  /** `now`: Unix nanoseconds. */
  constructor(now: () => bigint = realtimeNs) {
    this.#now = now;
  }

  /** Times of successive events grow strictly, also when the clock was set back. */
  readonly publish: PublishEvent = (event) => {
    const now = this.#now();
    this.#last = now > this.#last ? now : this.#last + 1n;
    const message = toMessage(event, this.#last);
    this.#ring.push(message);
    if (this.#ring.length > ringSize) this.#ring.shift();
    for (const listener of this.#listeners) listener(message);
  };

  /** Calls back for each event, synchronously. @returns how to stop that */
  listen(listener: (message: EventMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Number of live listeners and subscribers. */
  get listeners(): number {
    return this.#listeners.size;
  }

  subscribe(
    options: { readonly sinceNs: bigint | undefined; readonly untilNs: bigint | undefined; readonly filters: Filters },
    signal: AbortSignal,
  ): AsyncIterable<EventMessage> {
    const { sinceNs, untilNs, filters } = options;
    const replay = sinceNs !== undefined || untilNs !== undefined;
    const past = this.#ring.filter(({ timeNano }) => {
      const time = BigInt(timeNano);
      return replay && time >= (sinceNs ?? 0n) && (untilNs === undefined || time <= untilNs);
    });
    const stops: (() => void)[] = [];
    const queue = new PushQueue<EventMessage>({
      limit: subscriberLimit,
      weigh: () => 1,
      subject: "events",
      onClose: () => stops.forEach((stop) => stop()),
    });
    const deliver = (message: EventMessage): void => {
      if (matchesFilters(message, filters)) queue.push(message);
    };
    past.forEach(deliver);
    if (signal.aborted) queue.end();
    else stops.push(...this.#follow({ deliver, end: () => queue.end(), untilNs, signal }));
    return queue;
  }

  #follow(subscriber: {
    readonly deliver: (message: EventMessage) => void;
    readonly end: () => void;
    readonly untilNs: bigint | undefined;
    readonly signal: AbortSignal;
  }): (() => void)[] {
    const { end, untilNs, signal } = subscriber;
    signal.addEventListener("abort", end, { once: true });
    const stops = [this.listen(subscriber.deliver), () => signal.removeEventListener("abort", end)];
    if (untilNs === undefined) return stops;
    let timer: NodeJS.Timeout | undefined;
    const arm = (): void => {
      const left = Number((untilNs - this.#now()) / 1_000_000n);
      if (left < 0) end();
      else timer = setTimeout(arm, Math.min(left + 1, maxTimerMs)); // again: a timer is 32 bits and the clock may be set
    };
    arm();
    return [...stops, () => clearTimeout(timer)];
  }
}

const maxTimerMs = 60_000;

function toMessage(event: EngineEvent, timeNs: bigint): EventMessage {
  const image = event.attributes["image"];
  return {
    ...(event.type === "container" || event.type === "image" ? { status: event.action, id: event.id } : {}),
    ...(event.type === "container" && image !== undefined ? { from: image } : {}),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: "local",
    time: Number(timeNs / 1_000_000_000n),
    timeNano: timeNs.toString(),
  };
}

/** Docker's rules: keys are all required, of one key's values any one suffices, except labels, which must all match; a key that
 *  nobody knows is no condition. */
export function matchesFilters(message: EventMessage, filters: Filters): boolean {
  return [...filters].every(([key, values]) => values.length === 0 || matchesKey(message, key, values));
}

function matchesKey(message: EventMessage, key: string, values: readonly string[]): boolean {
  const { ID, Attributes } = message.Actor;
  const name = Attributes["name"];
  switch (key) {
    case "event":
      return values.some((value) => matchesAction(message.Action, value));
    case "type":
      return values.includes(message.Type);
    case "scope":
      return values.includes(message.scope);
    case "label":
      return values.every((value) => matchesLabel(Attributes, value));
    case "image": {
      const image = message.Type === "image" ? name : Attributes["image"];
      return values.some((value) => [ID, image, image?.replace(/:[^/:]*$/, "")].includes(value));
    }
    case "container":
    case "volume":
    case "network":
    case "daemon":
    case "plugin":
    case "service":
    case "node":
    case "secret":
    case "config":
      return message.Type === key && values.some((value) => ID.startsWith(value) || name?.startsWith(value) === true);
    default:
      return true;
  }
}

/** These actions carry their detail after a colon, and are asked for without it. */
const prefixActions: readonly string[] = ["health_status", "exec_create", "exec_start"];

function matchesAction(action: string, wanted: string): boolean {
  return action === wanted || (prefixActions.includes(wanted) && action.startsWith(wanted));
}

/** `key` or `key=value`. */
export function matchesLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  if (equals < 0) return Object.hasOwn(labels, wanted);
  const key = wanted.slice(0, equals);
  return Object.hasOwn(labels, key) && labels[key] === wanted.slice(equals + 1);
}

/** The attributes that every event of a container has: its labels, flat, with image and name over them. */
export function containerAttributes(
  record: Pick<ContainerRecord, "config" | "imageRef" | "name">,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return { ...record.config.Labels, image: record.imageRef, name: record.name, ...more };
}
