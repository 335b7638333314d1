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

/** `auto`: the live view on a terminal that takes control characters, else plain lines. */
export function createProgress({
  globals,
  terminal,
  quiet,
}: {
  readonly globals: Globals;
  readonly terminal: Terminal;
  readonly quiet: boolean;
}): Progress {
  const live = terminal.stderr.isTTY === true && globals.ansi !== "never";
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

/** listr2 is loaded at the first event: many commands show none. */
function liveView(terminal: Terminal): Progress {
  let view: Promise<Progress> | undefined;
  const early: ProgressEvent[] = [];
  let loaded: Progress | undefined;
  return {
    show: (event) => {
      if (loaded !== undefined) {
        loaded.show(event);
        return;
      }
      early.push(event);
      view ??= import("./live.ts").then(({ createLiveView }) => {
        const created = createLiveView(terminal);
        loaded = created;
        for (const one of early) created.show(one);
        return created;
      });
    },
    pause: () => loaded?.pause(),
    end: async () => {
      await (await view)?.end();
    },
  };
}
