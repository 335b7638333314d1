import type { OnProgress, ProgressEvent } from "../../planner/events.ts";

import type { Globals } from "../globals.ts";
import type { Terminal } from "../terminal.ts";
import { jsonLine } from "./json.ts";
import { plainLine } from "./plain.ts";

/** A view of what is going on, on stderr. */
export interface Progress {
  readonly show: OnProgress;
  /** Leaves the terminal to somebody else: what is drawn stays as it stands. */
  pause(): void;
  /** The last state is on the screen. */
  end(): Promise<void>;
}

interface ProgressInput {
  readonly globals: Globals;
  readonly terminal: Terminal;
  readonly quiet: boolean;
}

/** `auto`: the live view on a terminal that takes control characters, else plain lines. Made when there is something to show. */
export function createProgress(input: ProgressInput): Progress {
  let view: Progress | undefined;
  return {
    show: (event) => (view ??= createView(input)).show(event),
    pause: () => view?.pause(),
    end: () => view?.end() ?? Promise.resolve(),
  };
}

function createView({ globals, terminal, quiet }: ProgressInput): Progress {
  const live = terminal.stderr.isTTY === true && (terminal.stderr.columns ?? 0) > 0 && globals.ansi !== "never";
  switch (quiet ? "quiet" : globals.progress) {
    case "quiet":
      return lines(() => undefined, terminal);
    case "json":
      return lines(jsonLine, terminal);
    case "plain":
      return lines(plainLine, terminal);
    case "tty":
      return liveView(terminal);
    case "auto":
      return live ? liveView(terminal) : lines(plainLine, terminal);
  }
}

function lines(format: (event: ProgressEvent) => string | undefined, { stderr }: Terminal): Progress {
  return {
    show: (event) => {
      const line = format(event);
      if (line !== undefined) stderr.write(`${line}\n`);
    },
    pause: () => undefined,
    end: () => Promise.resolve(),
  };
}

/** listr2 is loaded when something takes time: a command that finds all as it should be says so at once. */
function liveView(terminal: Terminal): Progress {
  const early: ProgressEvent[] = [];
  let loading: Promise<Progress> | undefined;
  let loaded: Progress | undefined;
  let scheduled: NodeJS.Immediate | undefined;
  const load = async (): Promise<Progress> => {
    const { createLiveView } = await import("./live.ts");
    const view = createLiveView(terminal);
    loaded = view;
    for (const event of early) view.show(event);
    return view;
  };
  return {
    show: (event) => {
      if (loaded !== undefined) {
        loaded.show(event);
        return;
      }
      early.push(event);
      scheduled ??= setImmediate(() => {
        loading = load();
      });
    },
    pause: () => loaded?.pause(),
    end: async () => {
      if (loading === undefined) {
        clearImmediate(scheduled);
        for (const event of early.splice(0)) {
          if (event.status !== "pending") terminal.stderr.write(`\u001b[32m✔\u001b[39m${plainLine(event) ?? ""}\n`);
        }
        return;
      }
      await (await loading).end();
    },
  };
}
