/** What builds tell, on stderr: a tree of stages on a terminal, plain lines elsewhere, JSON for programs. */
import type { BuildProgress } from "../../compose/build-progress.ts";
import type { Globals } from "../globals.ts";
import { printable } from "../report-error.ts";
import type { Terminal } from "../terminal.ts";
import { createBuildTree } from "./build-tree.ts";

export interface BuildView {
  readonly show: (service: string, progress: BuildProgress) => void;
  /** All output of steps: a failure need not repeat it. */
  readonly showsOutput: boolean;
  /** Service -> image, at the end. */
  readonly built: (images: ReadonlyMap<string, string>) => void;
  /** The last state is on the screen. */
  end(): void;
}

export function createBuildView({
  globals,
  terminal,
  quiet,
}: {
  readonly globals: Globals;
  readonly terminal: Terminal;
  readonly quiet: boolean;
}): BuildView {
  const { stderr } = terminal;
  const live = stderr.isTTY === true && (stderr.columns ?? 0) > 0 && globals.ansi !== "never";
  switch (quiet ? "quiet" : globals.progress) {
    case "quiet":
      return { show: () => undefined, showsOutput: false, built: () => undefined, end: () => undefined };
    case "json":
      return {
        show: (service, progress) => void stderr.write(`${JSON.stringify({ service, ...progress })}\n`),
        showsOutput: true,
        built: () => undefined,
        end: () => undefined,
      };
    case "tty":
      return createBuildTree(terminal);
    case "auto":
      return live ? createBuildTree(terminal) : createPlainBuildView((line) => void stderr.write(`${line}\n`));
    case "plain":
      return createPlainBuildView((line) => void stderr.write(`${line}\n`));
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)}s`;
}

interface PlainStep {
  readonly number: number;
  readonly title: string;
  rest: string;
}

/** `#5 [web 2/3] RUN make`, what it says, and `#5 DONE 1.2s`: numbers are of this command, in the order of what happens. */
export function createPlainBuildView(write: (line: string) => void): BuildView {
  const titles = new Map<string, string>();
  const steps = new Map<string, PlainStep>();
  let last: number | undefined;
  let text = "";
  const line = (number: number, content: string): void => {
    if (last !== undefined && last !== number) write("");
    last = number;
    write(`#${number} ${printable(content)}`);
  };
  const stepOf = (service: string, id: number): PlainStep => {
    const key = `${service} ${id}`;
    const known = steps.get(key);
    if (known !== undefined) return known;
    const step = { number: steps.size + 1, title: titles.get(key) ?? "", rest: "" };
    steps.set(key, step);
    line(step.number, withService(service, step.title));
    return step;
  };
  const flush = (step: PlainStep): void => {
    if (step.rest !== "") line(step.number, step.rest);
    step.rest = "";
  };
  const showText = (service: string, more: string): void => {
    const parts = (text + more).split("\n");
    text = parts.pop() ?? "";
    for (const part of parts) if (part !== "") write(`${service} | ${printable(part)}`);
  };
  return {
    show: (service, progress) => {
      switch (progress.kind) {
        case "plan":
          for (const { id, title } of progress.steps) titles.set(`${service} ${id}`, title);
          return;
        case "started":
          return void stepOf(service, progress.step);
        case "output": {
          const step = stepOf(service, progress.step);
          const parts = (step.rest + progress.text).split("\n");
          step.rest = parts.pop() ?? "";
          for (const part of parts) line(step.number, part.replace(/\r$/, ""));
          return;
        }
        case "finished":
        case "failed": {
          const step = stepOf(service, progress.step);
          flush(step);
          const took = seconds(progress.ms);
          if (progress.kind === "failed") line(step.number, `ERROR ${took}`);
          else line(step.number, progress.cached ? "CACHED" : `DONE ${took}`);
          return;
        }
        case "warning":
          return write(`warning: ${service}: ${printable(progress.text)}`);
        case "text":
          return showText(service, progress.text);
        case "pull":
          return write(`${service} | ${printable(progress.text)}`);
        case "image":
        case "debug":
      }
    },
    showsOutput: true,
    built: (images) => {
      for (const service of images.keys()) write(` Image of ${service} Built `);
    },
    end: () => {
      for (const step of steps.values()) flush(step);
    },
  };
}

/** `[web build 2/3] RUN make`, as Docker Compose shows it. */
export function withService(service: string, title: string): string {
  return title.startsWith("[") ? `[${service} ${title.slice(1)}` : `[${service}] ${title}`;
}
