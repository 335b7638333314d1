/** The tree of a build on a terminal: services, their stages, their steps; of a running step the last lines. Redrawn in place,
 *  never longer than the screen. */
import type { BuildProgress } from "../../compose/build-progress.ts";
import { printable } from "../report-error.ts";
import type { Terminal } from "../terminal.ts";
import type { BuildView } from "./build-view.ts";

const shownOutput = 6;
const redrawMs = 100;

interface Step {
  readonly stage: string;
  readonly title: string;
  status: "waiting" | "running" | "done" | "cached" | "failed";
  startedMs: number;
  tookMs: number;
  output: readonly string[];
  rest: string;
}

interface ServiceState {
  readonly steps: Map<number, Step>;
  pull: string;
  text: string;
  built: boolean;
}

const green = (text: string): string => `\u001b[32m${text}\u001b[39m`;
const red = (text: string): string => `\u001b[31m${text}\u001b[39m`;
const dim = (text: string): string => `\u001b[2m${text}\u001b[22m`;
const cyan = (text: string): string => `\u001b[36m${text}\u001b[39m`;

/** `[build 2/3] RUN make` -> stage `build`, title `2/3 RUN make`; the stage may come after a platform. */
function partsOf(title: string): { readonly stage: string; readonly title: string } {
  const match = /^\[(?:(\S+(?: [^\d\s]\S*)?) )?([\d/ ]+)\] (.*)$/s.exec(title);
  return match === null
    ? { stage: "", title }
    : { stage: match[1] ?? "", title: `${(match[2] ?? "").trim()} ${match[3] ?? ""}` };
}

export class BuildTreeState {
  readonly services = new Map<string, ServiceState>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  apply(service: string, progress: BuildProgress): void {
    const state = this.#service(service);
    switch (progress.kind) {
      case "plan":
        state.pull = "";
        for (const { id, title } of progress.steps) state.steps.set(id, this.#newStep(title));
        return;
      case "started":
        Object.assign(this.#step(state, progress.step), { status: "running", startedMs: this.#now() });
        return;
      case "output":
        addOutput(this.#step(state, progress.step), progress.text);
        return;
      case "finished":
        Object.assign(this.#step(state, progress.step), {
          status: progress.cached ? "cached" : "done",
          tookMs: progress.ms,
          output: [],
        });
        return;
      case "failed":
        Object.assign(this.#step(state, progress.step), { status: "failed", tookMs: progress.ms });
        return;
      case "text":
        state.text = progress.text.trim() === "" ? state.text : progress.text.trim();
        return;
      case "pull":
        state.pull = progress.text;
        return;
      case "image":
        state.built = true;
        return;
      case "warning":
      case "debug":
    }
  }

  #newStep(title: string): Step {
    return { ...partsOf(title), status: "waiting", startedMs: 0, tookMs: 0, output: [], rest: "" };
  }

  #service(name: string): ServiceState {
    const known = this.services.get(name);
    if (known !== undefined) return known;
    const state = { steps: new Map<number, Step>(), pull: "", text: "", built: false };
    this.services.set(name, state);
    return state;
  }

  #step(state: ServiceState, id: number): Step {
    const known = state.steps.get(id);
    if (known !== undefined) return known;
    const step = this.#newStep("");
    state.steps.set(id, step);
    return step;
  }

  /** Lines for a screen of that size; the oldest finished steps give way. */
  render(size: { readonly columns: number; readonly rows: number }): readonly string[] {
    const all = [...this.services].flatMap(([name, state]) => this.#serviceLines(name, state));
    const room = Math.max(size.rows - 1, 3);
    let surplus = all.length - room;
    const kept = all.filter(({ settled }) => {
      if (surplus <= 0 || !settled) return true;
      surplus -= 1;
      return false;
    });
    return kept.slice(-room).map(({ text, paint }) => paint(printable(text).slice(0, size.columns - 1)));
  }

  #serviceLines(name: string, state: ServiceState): readonly Line[] {
    const steps = [...state.steps.values()];
    const counted = steps.filter(({ status }) => status === "done" || status === "cached").length;
    const mark = state.built ? "✔" : steps.some(({ status }) => status === "failed") ? "✘" : "●";
    const title: Line = {
      text: `${mark} ${name} ${counted}/${steps.length}`,
      paint: state.built ? green : mark === "✘" ? red : cyan,
      settled: false,
    };
    const stages = [...new Set(steps.map(({ stage }) => stage))];
    const more = [state.pull, state.text].filter((text) => text !== "");
    return [
      title,
      ...more.map((text): Line => ({ text: `  ${text}`, paint: dim, settled: false })),
      ...stages.flatMap((stage) =>
        this.#stageLines(
          stage,
          steps.filter((step) => step.stage === stage),
        ),
      ),
    ];
  }

  #stageLines(stage: string, steps: readonly Step[]): readonly Line[] {
    const indent = stage === "" ? "  " : "    ";
    const settled = steps.every(({ status }) => status === "done" || status === "cached");
    const head: readonly Line[] = stage === "" ? [] : [{ text: `  ${stage}`, paint: (text) => text, settled }];
    return [...head, ...steps.flatMap((step) => this.#stepLines(step, indent))];
  }

  #stepLines(step: Step, indent: string): readonly Line[] {
    const line = { text: `${indent}${step.title.split("\n", 1)[0]}${this.#suffix(step)}`, ...looks[step.status] };
    if (step.status !== "running" && step.status !== "failed") return [line];
    const output = [...step.output, ...(step.rest === "" ? [] : [step.rest])].slice(-shownOutput);
    return [line, ...output.map((text): Line => ({ text: `${indent}  | ${text}`, paint: dim, settled: false }))];
  }

  #suffix(step: Step): string {
    if (step.status === "cached") return " CACHED";
    if (step.status === "waiting") return "";
    const ms = step.status === "running" ? this.#now() - step.startedMs : step.tookMs;
    return ` ${(ms / 1000).toFixed(1)}s`;
  }
}

interface Line {
  readonly text: string;
  readonly paint: (text: string) => string;
  readonly settled: boolean;
}

const looks: Readonly<Record<Step["status"], Pick<Line, "paint" | "settled">>> = {
  waiting: { paint: dim, settled: false },
  running: { paint: (text) => text, settled: false },
  done: { paint: green, settled: true },
  cached: { paint: green, settled: true },
  failed: { paint: red, settled: false },
};

function addOutput(step: Step, text: string): void {
  const parts = (step.rest + text).split(/\r?\n|\r/);
  step.rest = parts.pop() ?? "";
  step.output = [...step.output, ...parts].slice(-shownOutput);
}

export function createBuildTree({ stderr }: Terminal): BuildView {
  const state = new BuildTreeState(() => performance.now());
  let drawn = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = (): void => {
    const lines = state.render({ columns: stderr.columns ?? 80, rows: stderr.rows ?? 24 });
    const up = drawn === 0 ? "" : `\u001b[${drawn}A\r`;
    stderr.write(`${up}\u001b[J${lines.map((line) => `${line}\n`).join("")}`);
    drawn = lines.length;
  };
  return {
    show: (service, progress) => {
      state.apply(service, progress);
      if (progress.kind === "warning") {
        if (drawn > 0) stderr.write(`\u001b[${drawn}A\r\u001b[J`);
        drawn = 0;
        stderr.write(`warning: ${service}: ${printable(progress.text)}\n`);
      }
      timer ??= setInterval(draw, redrawMs);
    },
    showsOutput: false,
    built: () => undefined,
    end: () => {
      clearInterval(timer);
      if (timer !== undefined) draw();
      timer = undefined;
      drawn = 0;
    },
  };
}
