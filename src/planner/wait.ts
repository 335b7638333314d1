import type { Readable } from "node:stream";

import type { ContainerInspect, EventMessage } from "../api/wire.ts";
import { type Docker, readJsonLines } from "../client/docker.ts";
import { errorMessage, isTscomposeError, TscomposeError } from "../errors.ts";

import { label } from "./labels.ts";
import type { WaitCondition } from "./operation.ts";

/** Watches the containers of a project through the engine's events, so that nothing is polled. */
export interface ContainerWatch {
  /** Resolves once the condition holds. Looks at the container once, then only when an event says that something happened.
   *  @throws compose/failed when the condition can no longer hold; aborted. */
  waitFor(target: WaitTarget, condition: WaitCondition, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface WaitTarget {
  readonly id: string;
  readonly name: string;
  readonly service: string;
}

/** Subscribes at the first wait, or earlier through `prepare`, so that no event between a look and the subscription is missed:
 *  every look comes after it. */
export function createContainerWatch(docker: Docker, project: string): ContainerWatch & { prepare(): void } {
  const controller = new AbortController();
  const listeners = new Map<string, Set<() => void>>();
  const lost = new Set<(error: Error) => void>();
  let subscription: Promise<void> | undefined;

  const follow = async (stream: Readable): Promise<void> => {
    for await (const event of readJsonLines<EventMessage>(stream, controller.signal)) {
      if (!isRelevant(event.Action)) continue;
      for (const notify of listeners.get(event.Actor.ID) ?? []) notify();
    }
    if (!controller.signal.aborted)
      throw new TscomposeError("engine/unreachable", "the engine ended the stream of events");
  };
  const subscribe = (): Promise<void> => {
    const filters = { type: ["container"], label: [`${label.project}=${project}`] };
    subscription ??= docker.getEvents({ filters, abortSignal: controller.signal }).then((stream) => {
      follow(stream).catch((error: unknown) => {
        for (const fail of lost) fail(error instanceof Error ? error : new Error(errorMessage(error)));
      });
    });
    return subscription;
  };

  return {
    prepare: () => {
      subscribe().catch(() => undefined);
    },
    close: () => controller.abort(),
    waitFor: async (target, condition, signal) => {
      await subscribe();
      await new Promise<void>((resolve, reject) => {
        let looking = false;
        let again = false;
        const settle = (finish: () => void): void => {
          listeners.get(target.id)?.delete(look);
          lost.delete(fail);
          signal.removeEventListener("abort", onAbort);
          finish();
        };
        const fail = (error: Error): void => settle(() => reject(error));
        const onAbort = (): void => fail(new TscomposeError("aborted", `gave up waiting for ${target.name}`));
        const look = (): void => {
          if (looking) {
            again = true;
            return;
          }
          looking = true;
          judge(docker, target, condition).then(
            (met) => {
              looking = false;
              if (met) settle(resolve);
              else if (again) {
                again = false;
                look();
              }
            },
            (error: unknown) => fail(error instanceof Error ? error : new Error(errorMessage(error))),
          );
        };
        const own = listeners.get(target.id) ?? new Set();
        listeners.set(target.id, own.add(look));
        lost.add(fail);
        signal.addEventListener("abort", onAbort, { once: true });
        if (signal.aborted) onAbort();
        else look();
      });
    },
  };
}

function isRelevant(action: string): boolean {
  return action === "start" || action === "die" || action === "destroy" || action.startsWith("health_status");
}

async function judge(docker: Docker, target: WaitTarget, condition: WaitCondition): Promise<boolean> {
  try {
    return conditionHolds(await docker.getContainer(target.id).inspect(), target, condition);
  } catch (error) {
    if (!isTscomposeError(error, "container/not-found")) throw error;
    throw failed(`container ${target.name} was removed`, error);
  }
}

/** True: it holds; false: it may yet. @throws compose/failed when it cannot any more. */
export function conditionHolds(
  inspect: Pick<ContainerInspect, "State">,
  target: WaitTarget,
  condition: WaitCondition,
): boolean {
  const { State: state } = inspect;
  const ended = !state.Running && !state.Restarting && (state.Status === "exited" || state.Status === "dead");
  if (condition === "service_completed_successfully") {
    if (!ended) return false;
    if (state.ExitCode === 0) return true;
    throw failed(`service "${target.service}" didn't complete successfully: exit ${state.ExitCode}`);
  }
  if (ended)
    throw failed(`dependency failed to start: container ${target.name} exited (${state.ExitCode})`, undefined, target);
  if (condition === "service_started") return state.Running;
  const health = state.Health?.Status ?? "none";
  if (health === "unhealthy")
    throw failed(`dependency failed to start: container ${target.name} is unhealthy`, undefined, target);
  if (health === "healthy") return state.Running;
  if (health === "starting") return false;
  if (condition === "running_or_healthy") return state.Running;
  if (!state.Running) return false;
  throw failed(`dependency failed to start: container ${target.name} has no healthcheck configured`);
}

function failed(message: string, cause?: unknown, target?: WaitTarget): TscomposeError {
  const hint = target === undefined ? {} : { hint: `see what it says: tscompose logs ${target.service}` };
  return new TscomposeError("compose/failed", message, { ...hint, ...(cause === undefined ? {} : { cause }) });
}
