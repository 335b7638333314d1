/** What the builds of several platforms tell, as if it were one build: each step has a number of its own, and its title says the
 *  platform, as BuildKit's do. Pure. */
import { formatPlatform, type Platform } from "../../images/platform.ts";
import type { BuildEvent } from "./events.ts";

export class PlatformEvents {
  readonly #emit: (event: BuildEvent) => void;
  /** Of the first step of the present build, and of the next one. */
  #first = 0;
  #next = 0;

  constructor(emit: (event: BuildEvent) => void) {
    this.#emit = emit;
  }

  /** Takes the events of the next build, which begins when the one before has ended. Its end is not told. */
  of(platform: Platform): (event: BuildEvent) => void {
    this.#first = this.#next;
    return (event) => {
      if (event.kind !== "done") this.#emit(this.#renumbered(event, formatPlatform(platform)));
    };
  }

  #renumbered(event: BuildEvent, platform: string): BuildEvent {
    const number = (step: number): number => this.#first + step;
    if (event.kind === "planned") {
      const steps = event.steps.map(({ id, title }) => ({ id: number(id), title: titled(title, platform) }));
      this.#next = Math.max(this.#next, ...steps.map(({ id }) => id + 1));
      const lines = event.lines.map((line) => ({
        ...line,
        step: line.step === undefined ? undefined : number(line.step),
      }));
      return { ...event, lines, steps, bases: event.bases.map((title) => titled(title, platform)) };
    }
    return "step" in event ? { ...event, step: number(event.step) } : event;
  }
}

/** `[build 1/3] RUN make` -> `[linux/arm64 build 1/3] RUN make` */
function titled(title: string, platform: string): string {
  return title.replace(/^\[/, `[${platform} `);
}
