/** Carries a plan out: one promise a node, which waits for the promises it depends on. Decides nothing. A rejection travels
 *  along the edges, so that what depends on a failed node never starts. */
import { errorMessage, TscomposeError } from "../errors.ts";

import type { OnProgress } from "./events.ts";
import type { Plan, PlanNode } from "./plan.ts";
import { createNarrator } from "./narrate.ts";

export interface ExecuteOptions {
  /** Does what a node says. `containerOf`: id of the container that a node of this plan has created. */
  readonly perform: (node: PlanNode, run: RunScope) => Promise<PerformResult>;
  /** Fired: nothing new is begun, waits end; calls that are under way are let finish, so that the engine is left in a known state. */
  readonly signal: AbortSignal;
  /** Calls at once; waits do not count. */
  readonly concurrency: number;
  /** `stop`: the first failure ends it (setup). `continue`: all that can still be done is done, all failures are reported (teardown). */
  readonly onFailure: "stop" | "continue";
  readonly onProgress: OnProgress;
}

export interface RunScope {
  /** Fires with the caller's signal, and when a failure elsewhere ends the run. */
  readonly signal: AbortSignal;
  containerOf(node: number): string;
}

export interface PerformResult {
  /** Of a container that was created. */
  readonly containerId?: string;
  /** It was not needed, or could not be done and may be left: shown instead of the usual word. */
  readonly warning?: string;
}

/** @throws the first failure; several of them (`continue`) as one compose/failed; aborted. */
export async function executePlan(plan: Plan, options: ExecuteOptions): Promise<void> {
  const run = new AbortController();
  const abort = (): void => run.abort();
  if (options.signal.aborted) run.abort();
  options.signal.addEventListener("abort", abort, { once: true });
  const failures: unknown[] = [];
  const containers = new Map<number, string>();
  const slots = createSlots(options.concurrency);
  const narrator = createNarrator(plan, options.onProgress);
  const scope: RunScope = {
    signal: run.signal,
    containerOf: (node) => {
      const id = containers.get(node);
      if (id === undefined) throw new Error(`node #${node} has created no container`);
      return id;
    },
  };
  const runNode = async (node: PlanNode): Promise<void> => {
    const waits = node.operation.kind === "wait-service";
    if (!waits) await slots.take();
    try {
      if (run.signal.aborted) throw new SkippedError();
      narrator.begin(node);
      const result = await options.perform(node, scope);
      if (result.containerId !== undefined) containers.set(node.id, result.containerId);
      narrator.end(node, result);
    } catch (error) {
      if (!(error instanceof SkippedError)) {
        // A wait that was called off is no fault of what it waited for.
        if (!isAbort(error)) narrator.fail(node, errorMessage(error));
        failures.push(error);
        if (options.onFailure === "stop") run.abort();
      }
      throw new SkippedError();
    } finally {
      if (!waits) slots.give();
    }
  };
  const promises = new Map<number, Promise<void>>();
  for (const node of plan.nodes) {
    // Most nodes wait for nothing or one thing; `Promise.all` of known promises keeps the order of the plan where all are free.
    const before = node.after.map((id) => promises.get(id)).filter((one) => one !== undefined);
    const promise = before.length === 0 ? runNode(node) : Promise.all(before).then(() => runNode(node));
    promise.catch(() => undefined);
    promises.set(node.id, promise);
  }
  await Promise.allSettled(promises.values());
  options.signal.removeEventListener("abort", abort);
  report(failures, options.signal);
}

/** Its turn did not come. */
class SkippedError extends Error {}

function report(failures: readonly unknown[], signal: AbortSignal): void {
  // After an abort the failures are its echo: requests cut off, waits ended.
  const [first, ...others] = signal.aborted ? failures.filter((error) => !isAbort(error)) : failures;
  if (first === undefined) {
    if (signal.aborted) throw new TscomposeError("aborted", "aborted");
    return;
  }
  const more = others.filter((error) => !isAbort(error) && errorMessage(error) !== errorMessage(first));
  if (more.length === 0) throw asError(first);
  const messages = [first, ...more].map(errorMessage);
  throw new TscomposeError("compose/failed", messages.join("\n"), { cause: first, details: { messages } });
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(errorMessage(value));
}

function isAbort(error: unknown): boolean {
  return error instanceof TscomposeError && error.code === "aborted";
}

interface Slots {
  take(): Promise<void>;
  give(): void;
}

function createSlots(limit: number): Slots {
  let free = limit;
  const queue: (() => void)[] = [];
  return {
    take: () => {
      if (free > 0) {
        free -= 1;
        return Promise.resolve();
      }
      return new Promise((resolve) => queue.push(resolve));
    },
    give: () => {
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}
