/** Events folded into what a live view shows. Pure. */
import type { ProgressEvent } from "../../planner/events.ts";

export interface ProgressState {
  /** In the order of their first event. */
  readonly rows: ReadonlyMap<string, ProgressRow>;
}

export interface ProgressRow {
  /** `Container app-web-1`. */
  readonly title: string;
  readonly status: ProgressEvent["status"];
  readonly text: string;
  readonly details: string | undefined;
  /** Steps that were announced and are not over. */
  readonly open: number;
  /** Bytes of all its parts together, where they tell. */
  readonly current: number;
  readonly total: number;
  /** Part -> bytes. */
  readonly parts: ReadonlyMap<string, { readonly current: number; readonly total: number; readonly done: boolean }>;
}

export const emptyState: ProgressState = { rows: new Map() };

/** What `rows` knows a thing by. A part counts for what it is a part of. */
export function rowKey({ kind, name, parent }: Pick<ProgressEvent, "kind" | "name" | "parent">): string {
  return `${kind} ${parent ?? name}`;
}

export function fold(state: ProgressState, event: ProgressEvent): ProgressState {
  const key = rowKey(event);
  const before = state.rows.get(key);
  const rows = new Map(state.rows);
  if (event.parent !== undefined) rows.set(key, withPart(before ?? emptyRow(key), event));
  else rows.set(key, withStep(before ?? emptyRow(key), event));
  return { rows };
}

function withStep(row: ProgressRow, { status, text, details }: ProgressEvent): ProgressRow {
  // An announcement does not undo what has happened.
  if (status === "pending") return { ...row, open: row.open + 1 };
  const over = status === "done" || status === "warning" ? 1 : 0;
  return { ...row, status, text, details, open: status === "error" ? 0 : Math.max(0, row.open - over) };
}

function emptyRow(title: string): ProgressRow {
  return { title, status: "pending", text: "", details: undefined, open: 0, current: 0, total: 0, parts: new Map() };
}

function withPart(row: ProgressRow, { name, status, current, total }: ProgressEvent): ProgressRow {
  const parts = new Map(row.parts);
  const before = parts.get(name) ?? { current: 0, total: 0, done: false };
  const size = total ?? before.total;
  const done = status === "done";
  parts.set(name, { current: done ? size : Math.max(before.current, current ?? 0), total: size, done });
  const all = [...parts.values()];
  return {
    ...row,
    status: row.status === "pending" ? "working" : row.status,
    parts,
    current: all.reduce((sum, part) => sum + part.current, 0),
    total: all.reduce((sum, part) => sum + part.total, 0),
  };
}

/** Every step that was announced is over, or one has failed. */
export function isSettled({ status, open }: ProgressRow): boolean {
  return open === 0 && isOver(status);
}

function isOver(status: ProgressEvent["status"]): boolean {
  return status === "done" || status === "warning" || status === "error";
}
