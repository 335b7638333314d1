import { describe, expect, test } from "vitest";

import { jsonLine } from "../../../src/cli/progress/json.ts";
import { plainLine } from "../../../src/cli/progress/plain.ts";
import { emptyState, fold, isSettled, type ProgressRow } from "../../../src/cli/progress/state.ts";
import type { ProgressEvent } from "../../../src/planner/events.ts";

const created: ProgressEvent = { kind: "Container", name: "app-web-1", status: "done", text: "Created" };
const layer = (name: string, parts: Partial<ProgressEvent>): ProgressEvent => ({
  kind: "Image",
  name,
  parent: "busybox",
  status: "working",
  text: "Downloading",
  ...parts,
});

describe("plain lines", () => {
  test("are Docker Compose's, with its space at the end", () => {
    expect(plainLine(created)).toBe(" Container app-web-1 Created ");
  });
  test("carry details", () => {
    expect(plainLine({ ...created, status: "error", text: "Error", details: "no such image" })).toBe(
      " Container app-web-1 Error no such image",
    );
  });
  test("leave out announcements and the progress of layers", () => {
    expect(plainLine({ ...created, status: "pending" })).toBeUndefined();
    expect(plainLine(layer("abc", { current: 1, total: 2 }))).toBeUndefined();
  });
});

describe("JSON lines", () => {
  test("have Docker Compose's keys", () => {
    expect(jsonLine(created)).toBe('{"id":"Container app-web-1","status":"Done","text":"Created"}');
  });
  test("tell of parts, bytes and per cent", () => {
    expect(JSON.parse(jsonLine(layer("abc", { current: 1, total: 4 })) ?? "")).toEqual({
      id: "abc",
      parent_id: "Image busybox",
      status: "Working",
      text: "Downloading",
      current: 1,
      total: 4,
      percent: 25,
    });
  });
});

describe("the state", () => {
  const after = (...events: readonly ProgressEvent[]): readonly ProgressRow[] => [
    ...events.reduce(fold, emptyState).rows.values(),
  ];

  test("has one row a thing, in the order they turned up", () => {
    const rows = after({ ...created, status: "working", text: "Creating" }, { ...created, name: "app-db-1" }, created);
    expect(rows.map(({ title, text }) => `${title} ${text}`)).toEqual([
      "Container app-web-1 Created",
      "Container app-db-1 Created",
    ]);
  });
  const announced: ProgressEvent = { ...created, status: "pending", text: "" };
  test("keeps what has happened when more is announced", () => {
    expect(after(created, announced)[0]).toMatchObject({ status: "done", text: "Created" });
  });
  test("is settled when every step that was announced is over", () => {
    const started: ProgressEvent = { ...created, text: "Started" };
    expect(after(announced, announced, created).some(isSettled)).toBe(false);
    expect(after(announced, announced, created, started).every(isSettled)).toBe(true);
  });
  test("is settled by a failure", () => {
    expect(after(announced, announced, { ...created, status: "error", text: "Error" }).every(isSettled)).toBe(true);
  });
  test("adds up the bytes of layers", () => {
    const [row] = after(
      layer("a", { current: 1, total: 10 }),
      layer("b", { current: 5, total: 10 }),
      layer("a", { current: 4, total: 10 }),
    );
    expect(row).toMatchObject({ title: "Image busybox", current: 9, total: 20 });
  });
  test("counts a layer that is done in full", () => {
    const [row] = after(layer("a", { current: 1, total: 10 }), layer("a", { status: "done", text: "Pull complete" }));
    expect(row).toMatchObject({ current: 10, total: 10 });
  });
  test("knows when a row is settled", () => {
    expect(after(created).every(isSettled)).toBe(true);
    expect(after({ ...created, status: "working" }).some(isSettled)).toBe(false);
  });
});
