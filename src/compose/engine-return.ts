/** The engine on this machine may be restarted while a command follows something: containers go on, and so does the command. */
import { isTscomposeError } from "../errors.ts";
import type { ComposeContext } from "./context.ts";

const firstDelayMs = 50;
const longestDelayMs = 1000;

export class EngineReturn {
  readonly #context: ComposeContext;
  #waiting: Promise<void> | undefined;

  constructor(context: ComposeContext) {
    this.#context = context;
  }

  /** Whether the connection broke, and an engine that comes back can go on where it was. */
  isBroken(error: unknown): boolean {
    if (!this.#context.engineReturns || this.#context.signal.aborted) return false;
    return !isTscomposeError(error) || error.code === "engine/unreachable";
  }

  /** Resolves when an engine answers again. Does not start one: who stopped it may have meant it. Tells the user, once for all who
   *  wait. @throws aborted */
  async wait(): Promise<void> {
    this.#waiting ??= this.#poll().finally(() => (this.#waiting = undefined));
    await this.#waiting;
  }

  async #poll(): Promise<void> {
    const { docker, signal, onWarning } = this.#context;
    onWarning("the engine has gone: waiting for it to come back; containers go on, any other command starts it");
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
      await sleep(delayMs, signal);
      signal.throwIfAborted();
      try {
        await docker.ping({ abortSignal: signal });
        return;
      } catch (error) {
        if (!isTscomposeError(error, "engine/unreachable")) throw error;
      }
    }
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}
