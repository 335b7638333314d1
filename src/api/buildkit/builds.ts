/** The builds that clients have asked for on `/grpc`, by the id that they gave them; and what is known of those that have ended. */
import { TscomposeError } from "../../errors.ts";
import type { Build } from "./build.ts";
import type { HistoryRecord } from "./messages.ts";

/** How long a request waits for the build that it is about: they come at the same time, in any order. */
const patienceMs = 6000;
/** A client that asks for the status of a build that ended at once still finds it. */
const keptMs = 10_000;
const maxRecords = 100;

export class Builds {
  readonly #running = new Map<string, Build>();
  readonly #waiting = new Map<string, Set<(build: Build) => void>>();
  readonly #records: HistoryRecord[] = [];

  /** @throws request/conflict */
  add(build: Build): void {
    if (this.#running.has(build.ref)) throw new TscomposeError("request/conflict", `build ${build.ref} exists already`);
    this.#running.set(build.ref, build);
    for (const tell of this.#waiting.get(build.ref) ?? []) tell(build);
    this.#waiting.delete(build.ref);
  }

  /** It has ended. */
  remove(build: Build, record: HistoryRecord | undefined): void {
    setTimeout(() => this.#running.delete(build.ref), keptMs).unref();
    if (record === undefined) return;
    this.#records.unshift(record);
    this.#records.length = Math.min(this.#records.length, maxRecords);
  }

  /** Newest first. */
  get records(): readonly HistoryRecord[] {
    return this.#records;
  }

  forget(ref: string): void {
    const at = this.#records.findIndex((record) => record.ref === ref);
    if (at >= 0) this.#records.splice(at, 1);
  }

  /** @throws request/not-found where it does not come */
  async get(ref: string, signal: AbortSignal): Promise<Build> {
    const known = this.#running.get(ref);
    if (known !== undefined) return known;
    const waiting = this.#waiting.get(ref) ?? new Set();
    this.#waiting.set(ref, waiting);
    return await new Promise((resolve, reject) => {
      const settle = (build: Build | undefined): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        waiting.delete(settle);
        if (build === undefined) reject(new TscomposeError("request/not-found", `no such build: ${ref}`));
        else resolve(build);
      };
      const giveUp = (): void => settle(undefined);
      const timer = setTimeout(giveUp, patienceMs);
      signal.addEventListener("abort", giveUp);
      waiting.add(settle);
    });
  }
}
