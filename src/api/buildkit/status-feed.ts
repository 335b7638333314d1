/** What a build tells those who watch it (`Control.Status`): kept until the build has ended, so that who comes late sees it all. */
import { createHash } from "node:crypto";
import { statusResponse } from "./messages.ts";
import type { StatusResponse, Vertex } from "./messages.ts";

/** Of the output of one step, as BuildKit has it. */
const maxLogBytes = 2 * 1024 * 1024;

interface VertexState {
  readonly digest: string;
  readonly name: string;
  readonly inputs: readonly string[];
  started: number | undefined;
  completed: number | undefined;
  cached: boolean;
  loggedBytes: number;
}

export interface VertexWarning {
  readonly short: string;
  readonly detail: string;
  readonly url: string;
  readonly source: { readonly name: string; readonly text: string };
  readonly start: number;
  readonly end: number;
}

export class StatusFeed {
  readonly #ref: string;
  readonly #messages: Buffer[] = [];
  readonly #vertices = new Map<string, VertexState>();
  readonly #statusStarts = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  #isEnded = false;
  #warnings = 0;

  constructor(ref: string) {
    this.#ref = ref;
  }

  get counts(): {
    readonly total: number;
    readonly cached: number;
    readonly completed: number;
    readonly warnings: number;
  } {
    const all = [...this.#vertices.values()];
    return {
      total: all.length,
      cached: all.filter(({ cached }) => cached).length,
      completed: all.filter(({ completed }) => completed !== undefined).length,
      warnings: this.#warnings,
    };
  }

  /** One that is known keeps its name. @param after keys of those that it needs */
  vertex(key: string, name: string, after: readonly string[] = []): void {
    if (this.#vertices.has(key)) return;
    const digest = `sha256:${createHash("sha256").update(`${this.#ref} ${key}`).digest("hex")}`;
    const inputs = after.flatMap((other) => this.#vertices.get(other)?.digest ?? []);
    const state: VertexState = {
      digest,
      name,
      inputs,
      started: undefined,
      completed: undefined,
      cached: false,
      loggedBytes: 0,
    };
    this.#vertices.set(key, state);
    this.#tell({ vertexes: [encoded(state, "")] });
  }

  start(key: string): void {
    const state = this.#vertices.get(key);
    if (state === undefined) return;
    state.started ??= Date.now();
    this.#tell({ vertexes: [encoded(state, "")] });
  }

  complete(key: string, how: { readonly cached?: boolean; readonly error?: string } = {}): void {
    const state = this.#vertices.get(key);
    if (state === undefined || state.completed !== undefined) return;
    state.completed = Date.now();
    state.started ??= state.completed;
    state.cached = how.cached === true;
    this.#tell({ vertexes: [encoded(state, how.error ?? "")] });
  }

  /** A line of a vertex with a figure: bytes of a transfer, a thing that is done. */
  status(
    key: string,
    id: string,
    figures: { readonly current?: number; readonly total?: number; readonly isDone: boolean },
  ): void {
    const state = this.#vertices.get(key);
    if (state === undefined) return;
    const now = Date.now();
    const started = this.#statusStarts.get(`${key} ${id}`) ?? now;
    this.#statusStarts.set(`${key} ${id}`, started);
    const { current = 0, total = 0, isDone } = figures;
    this.#tell({
      statuses: [
        {
          id,
          vertex: state.digest,
          name: id,
          current,
          total,
          timestamp: now,
          started,
          ...(isDone ? { completed: now } : {}),
        },
      ],
    });
  }

  log(key: string, data: Buffer): void {
    const state = this.#vertices.get(key);
    if (state === undefined || state.loggedBytes > maxLogBytes) return;
    state.loggedBytes += data.length;
    const isOver = state.loggedBytes > maxLogBytes;
    const told = isOver ? Buffer.from("[output clipped, log limit 2MiB reached]\n") : data;
    this.#tell({ logs: [{ vertex: state.digest, timestamp: Date.now(), stream: 1, data: told }] });
  }

  warn(key: string, warning: VertexWarning): void {
    this.#warnings += 1;
    this.#tell({
      warnings: [
        {
          vertex: this.#vertices.get(key)?.digest ?? "",
          level: 1,
          short: Buffer.from(warning.short),
          detail: warning.detail === "" ? [] : [Buffer.from(warning.detail)],
          url: warning.url,
          info: { filename: warning.source.name, data: Buffer.from(warning.source.text), language: "Dockerfile" },
          ranges: [{ start: { line: warning.start }, end: { line: warning.end } }],
        },
      ],
    });
  }

  /** What runs has ended with the build. */
  end(): void {
    if (this.#isEnded) return;
    for (const [key, { started, completed }] of this.#vertices)
      if (started !== undefined && completed === undefined) this.complete(key, { error: "context canceled" });
    this.#isEnded = true;
    this.#wake();
  }

  #tell(response: StatusResponse): void {
    if (this.#isEnded) return;
    this.#messages.push(statusResponse.encode(response));
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** From the beginning to the end of the build. */
  async *follow(signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
    for (let at = 0; !signal.aborted;) {
      const message = this.#messages[at];
      if (message !== undefined) {
        at += 1;
        yield message;
      } else if (this.#isEnded) return;
      else
        await new Promise<void>((resolve) => {
          this.#waiting.add(resolve);
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
    }
  }
}

function encoded(state: VertexState, error: string): Vertex {
  const { digest, name, inputs, cached, started, completed } = state;
  return { digest, name, inputs, cached, started, completed, error };
}
