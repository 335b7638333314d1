/** Events of a build to the lines of Docker's classic builder, which every client of `POST /build` understands. Pure. Stages run
 *  side by side, but lines come in the order of the file: what a later step says waits until its turn. */
import type { ProgressMessage } from "../../types.ts";
import type { PlanLine } from "../plan/plan-build.ts";
import type { BuildEvent } from "./events.ts";

interface StepState {
  readonly output: Buffer[];
  started: boolean;
  finished: { readonly cached: boolean; readonly chainId: string } | undefined;
}

const stream = (text: string): ProgressMessage => ({ stream: text });

function shortId(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}

export class ClassicProgress {
  #lines: readonly PlanLine[] = [];
  readonly #steps = new Map<number, StepState>();
  #at = 0;
  #announced = -1;
  #lastId = "";
  readonly #decoder = new TextDecoder("utf-8");

  messages(event: BuildEvent): readonly ProgressMessage[] {
    switch (event.kind) {
      case "planned":
        this.#lines = event.lines;
        this.#at = 0;
        this.#announced = -1;
        return this.#advance();
      case "started":
        this.#step(event.step).started = true;
        return this.#advance();
      case "output":
        this.#step(event.step).output.push(event.data);
        return this.#advance();
      case "finished":
        this.#step(event.step).finished = { cached: event.cached, chainId: event.chainId };
        return this.#advance();
      case "dockerfile":
      case "targets":
      case "outline":
      case "failed":
      case "kept":
        return [];
      case "pull":
        return [event.message];
      case "notice":
        return [stream(event.level === "warning" ? `[Warning] ${event.text}\n` : `${event.text}\n`)];
      case "done":
        return [
          { aux: { ID: event.imageId } },
          stream(`Successfully built ${shortId(event.imageId)}\n`),
          ...event.tags.map((tag) => stream(`Successfully tagged ${tag}\n`)),
        ];
    }
  }

  #step(id: number): StepState {
    const known = this.#steps.get(id);
    if (known !== undefined) return known;
    const state: StepState = { output: [], started: false, finished: undefined };
    this.#steps.set(id, state);
    return state;
  }

  #advance(): readonly ProgressMessage[] {
    const out: ProgressMessage[] = [];
    for (let line = this.#lines[this.#at]; line !== undefined; line = this.#lines[this.#at]) {
      if (this.#announced < this.#at) {
        this.#announced = this.#at;
        out.push(stream(`Step ${this.#at + 1}/${this.#lines.length} : ${line.text}`), stream("\n"));
      }
      if (line.step !== undefined && !this.#showStep(this.#step(line.step), out)) break;
      if (line.step === undefined) {
        if (line.isFrom) this.#lastId = line.imageId === undefined ? "" : shortId(line.imageId);
        if (this.#lastId !== "") out.push(stream(` ---> ${this.#lastId}\n`));
      }
      this.#at += 1;
    }
    return out;
  }

  /** True when all of the step was shown. */
  #showStep(state: StepState, out: ProgressMessage[]): boolean {
    for (const data of state.output.splice(0)) {
      const text = this.#decoder.decode(data, { stream: true });
      if (text !== "") out.push(stream(text));
    }
    if (state.finished === undefined) return false;
    if (state.finished.cached) out.push(stream(" ---> Using cache\n"));
    if (state.finished.chainId === "") return true;
    this.#lastId = shortId(state.finished.chainId);
    out.push(stream(` ---> ${this.#lastId}\n`));
    return true;
  }
}
