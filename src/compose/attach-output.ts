/** The output of an attached `up`: what the watched containers write and how they end, from the moment before anything starts. */
import type { EventMessage } from "../api/wire.ts";
import { readJsonLines } from "../client/docker.ts";
import { errorMessage, isTscomposeError } from "../errors.ts";
import { label } from "../planner/labels.ts";
import { logName } from "../planner/names.ts";

import { apiTime, nanoTime } from "./api-time.ts";
import { type Channel, createChannel } from "./channel.ts";
import type { ComposeContext, ProjectReference } from "./context.ts";
import { containerLines, type LogEvent } from "./logs.ts";

export type AttachedEvent =
  | LogEvent
  | {
      readonly kind: "exit";
      readonly name: string;
      readonly service: string;
      readonly exitCode: number;
      /** By its restart policy. */
      readonly restarting: boolean;
    };

export interface AttachedOutput extends AsyncIterable<AttachedEvent> {
  /** Resolves when everything that starts from now on will be seen. */
  readonly ready: Promise<void>;
  /** What these have written up to now is not shown when they start again. */
  skipPast(ended: readonly { readonly id: string }[]): Promise<void>;
  /** Begins to follow the running containers named, from now on. */
  follow(running: readonly { readonly id: string; readonly name: string; readonly service: string }[]): void;
  /** Ends the iteration once the output that is under way has been delivered. */
  close(): Promise<void>;
}

export interface AttachOptions {
  /** Services to show. */
  readonly shows: (service: string) => boolean;
  /** Services whose end counts. */
  readonly watches: (service: string) => boolean;
  readonly timestamps: boolean;
}

export function attachOutput(
  context: ComposeContext,
  reference: ProjectReference,
  options: AttachOptions,
): AttachedOutput {
  const channel = createChannel<AttachedEvent>();
  const controller = new AbortController();
  const stopAll = (): void => controller.abort();
  const followed = new Map<string, Promise<void>>();
  /** Container id -> when its last run ended: the next one's output comes after that. */
  const ended = new Map<string, string>();
  const own: ComposeContext = { ...context, signal: controller.signal };

  const follow = (container: Named, from: { readonly since?: string; readonly tail: number | "all" }): void => {
    const settings = {
      follow: true,
      timestamps: options.timestamps,
      until: undefined,
      since: from.since,
      tail: from.tail,
    };
    const lines = containerLines(own, reference, { container, ...settings });
    const before = followed.get(container.id) ?? Promise.resolve();
    followed.set(
      container.id,
      before.then(() => pump(lines, channel)),
    );
  };
  const onDie = async ({ id, name, service }: Named, exitCode: number): Promise<void> => {
    await followed.get(id);
    const restarting = await isComingBack(own, id);
    channel.push({ kind: "exit", name: logName(reference.name, name), service, exitCode, restarting });
  };

  let begun: () => void = () => undefined;
  let failed: (error: unknown) => void = () => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    begun = resolve;
    failed = reject;
  });
  const watch = async (): Promise<void> => {
    const filters = {
      type: ["container"],
      event: ["start", "die"],
      label: [`${label.project}=${reference.name}`, `${label.oneoff}=False`],
    };
    const stream = await context.docker.getEvents({ filters, abortSignal: controller.signal });
    begun();
    for await (const event of readJsonLines<EventMessage>(stream, controller.signal)) {
      const { name: fullName = "", exitCode = "0", [label.service]: service = "" } = event.Actor.Attributes;
      const container = { id: event.Actor.ID, name: currentName(fullName), service };
      if (event.Action === "start" && options.shows(service)) {
        const since = ended.get(container.id);
        channel.push({ kind: "container", name: logName(reference.name, container.name) });
        follow(container, { tail: "all", ...(since === undefined ? {} : { since }) });
      } else if (event.Action === "die") {
        ended.set(container.id, nanoTime(event.timeNano));
        if (options.shows(service) || options.watches(service)) {
          onDie(container, Number(exitCode)).catch((error: unknown) => channel.close(error));
        }
      }
    }
  };
  watch().then(
    () => channel.close(),
    (error: unknown) => {
      failed(error);
      channel.close(controller.signal.aborted ? undefined : error);
    },
  );
  ready.catch(() => undefined);

  return {
    ready,
    skipPast: async (containers) => {
      await Promise.all(
        containers.map(async ({ id }) => {
          const finished = await finishedAt(own, id);
          if (finished !== undefined) ended.set(id, finished);
        }),
      );
    },
    follow: (running) => {
      for (const container of running) {
        channel.push({ kind: "container", name: logName(reference.name, container.name) });
        follow(container, { tail: 0 });
      }
    },
    close: async () => {
      const drained = Promise.allSettled(followed.values());
      await Promise.race([drained, delay(500)]);
      stopAll();
      channel.close();
    },
    [Symbol.asyncIterator]: () => channel[Symbol.asyncIterator](),
  };
}

interface Named {
  readonly id: string;
  readonly name: string;
  readonly service: string;
}

/** While it is being recreated a container still bears its first name, `<id12>_<name>`. */
function currentName(name: string): string {
  return name.replace(/^[0-9a-f]{12}_/, "");
}

async function pump(lines: AsyncIterable<AttachedEvent>, channel: Channel<AttachedEvent>): Promise<void> {
  try {
    for await (const line of lines) {
      channel.push(line);
      await channel.room();
    }
  } catch (error) {
    channel.close(new Error(errorMessage(error), { cause: error }));
  }
}

async function isComingBack({ docker, signal }: ComposeContext, id: string): Promise<boolean> {
  try {
    const { State: state } = await docker.getContainer(id).inspect({ abortSignal: signal });
    return state.Restarting || state.Running;
  } catch {
    // Removed meanwhile: it is not.
    return false;
  }
}

/** A nanosecond later: `since` includes its moment. Seconds have ten digits until the year 2286, so that times compare as text. */
function justAfter(time: string): string {
  return nanoTime(String(BigInt(time.replace(".", "")) + 1n));
}

/** Undefined for one that has never run, or is gone. */
async function finishedAt({ docker, signal }: ComposeContext, id: string): Promise<string | undefined> {
  try {
    const container = docker.getContainer(id);
    const query = { stdout: true, stderr: true, timestamps: true, tail: 1, abortSignal: signal };
    const [{ State: state }, last] = await Promise.all([
      container.inspect({ abortSignal: signal }),
      container.logs(query),
    ]);
    if (state.FinishedAt.startsWith("0001-")) return undefined;
    // Whoever writes the log may be behind whoever notes the end.
    const [, written] = /(\d{4}-\d\d-\d\dT[\d:.]+Z) [^\n]*\n?$/.exec(last.toString("latin1")) ?? [];
    return [apiTime(state.FinishedAt), ...(written === undefined ? [] : [justAfter(apiTime(written))])]
      .toSorted()
      .at(-1);
  } catch (error) {
    if (isTscomposeError(error, "container/not-found")) return undefined;
    throw error;
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
