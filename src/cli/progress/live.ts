import { Listr, type DefaultRenderer, type ListrTaskWrapper, type SimpleRenderer } from "listr2";

import type { ProgressEvent } from "../../planner/events.ts";
import { humanSize } from "../output/human.ts";
import { printable } from "../report-error.ts";
import type { Terminal } from "../terminal.ts";
import type { Progress } from "./progress.ts";
import { emptyState, fold, isSettled, type ProgressRow, rowKey } from "./state.ts";

type Task = ListrTaskWrapper<object, typeof DefaultRenderer, typeof SimpleRenderer>;

interface Entry {
  task: Task | undefined;
  readonly settled: Promise<void>;
  /** Its task has ended. */
  closed: boolean;
  settle(row: ProgressRow): void;
}

/** listr2 as a view: one task a thing, whose body only waits for the event that settles it. What turns up while a list is on the
 *  screen gets the next one. */
export function createLiveView(terminal: Terminal): Progress {
  let state = emptyState;
  const entries = new Map<string, Entry>();
  const queue: string[] = [];
  let running: Promise<unknown> | undefined;

  const runQueue = async (): Promise<void> => {
    while (queue.length > 0) {
      const keys = queue.splice(0);
      const list = new Listr<object, typeof DefaultRenderer, typeof SimpleRenderer>(
        keys.map((key) => ({ title: titleOf(key), task: (_context, task) => waitFor(key, task) })),
        {
          concurrent: true,
          exitOnError: false,
          rendererOptions: { collapseErrors: false, showErrorMessage: false, clearOutput: false },
          registerSignalListeners: false,
          collectErrors: false,
        },
      );
      await list.run();
    }
  };
  const titleOf = (key: string): string =>
    title(state.rows.get(key) ?? { title: key, text: "", details: undefined, current: 0, total: 0 });
  const waitFor = async (key: string, task: Task): Promise<void> => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entry.task = task;
    task.title = titleOf(key);
    await entry.settled;
    entry.closed = true;
    task.title = titleOf(key);
    const row = state.rows.get(key);
    if (row?.status === "error") throw new Error(row.details ?? "failed");
    if (row !== undefined && !isSettled(row)) task.skip(titleOf(key));
  };

  return {
    show: (event: ProgressEvent) => {
      state = fold(state, event);
      const key = rowKey(event);
      const row = state.rows.get(key);
      if (row === undefined) return;
      const known = entries.get(key);
      // The same thing can have a second turn: stopped, then removed; created, then started.
      if (known === undefined || (known.closed && !isSettled(row))) {
        entries.set(key, createEntry());
        queue.push(key);
      }
      const entry = entries.get(key);
      if (entry?.task !== undefined) entry.task.title = titleOf(key);
      if (isSettled(row)) entry?.settle(row);
      // On the next tick, so that what is announced together is shown together.
      running ??= Promise.resolve()
        .then(runQueue)
        .finally(() => {
          running = undefined;
        });
    },
    pause: () => undefined,
    end: async () => {
      for (const [key, entry] of entries) {
        const row = state.rows.get(key);
        if (row !== undefined) entry.settle(row);
      }
      await running;
      terminal.stderr.write("");
    },
  };
}

function createEntry(): Entry {
  let resolve: () => void = () => undefined;
  const settled = new Promise<void>((done) => {
    resolve = done;
  });
  return { task: undefined, settled, closed: false, settle: () => resolve() };
}

function title({
  title: name,
  text,
  details,
  current,
  total,
}: Pick<ProgressRow, "title" | "text" | "details" | "current" | "total">): string {
  const bytes = total === 0 ? "" : ` ${humanSize(current)}/${humanSize(total)}`;
  return printable([name, text, details ?? ""].filter((part) => part !== "").join(" ") + bytes);
}
