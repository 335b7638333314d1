import { describe, expect, test } from "vitest";
import type { BuildProgress } from "../../../src/compose/build-progress.ts";
import { BuildTreeState } from "../../../src/cli/progress/build-tree.ts";
import { createPlainBuildView } from "../../../src/cli/progress/build-view.ts";

const events: readonly BuildProgress[] = [
  {
    kind: "plan",
    steps: [
      { id: 0, title: "[base 1/2] COPY a /" },
      { id: 1, title: "[stage-1 1/1] RUN make" },
    ],
  },
  { kind: "finished", step: 0, cached: true, ms: 1 },
  { kind: "started", step: 1 },
  { kind: "output", step: 1, text: "one\ntw" },
  { kind: "output", step: 1, text: "o\nend" },
];

// eslint-disable-next-line no-control-regex
const plain = (lines: readonly string[]): readonly string[] => lines.map((line) => line.replace(/\u001b\[\d+m/g, ""));

describe("plain lines of a build", () => {
  test("number the steps, and keep the lines of each whole", () => {
    const lines: string[] = [];
    const view = createPlainBuildView((line) => lines.push(line));
    for (const event of events) view.show("web", event);
    view.show("web", { kind: "finished", step: 1, cached: false, ms: 1234 });
    expect(lines).toEqual([
      "#1 [web base 1/2] COPY a /",
      "#1 CACHED",
      "",
      "#2 [web stage-1 1/1] RUN make",
      "#2 one",
      "#2 two",
      "#2 end",
      "#2 DONE 1.2s",
    ]);
  });

  test("take no control character from a build", () => {
    const lines: string[] = [];
    const view = createPlainBuildView((line) => lines.push(line));
    view.show("web", { kind: "output", step: 0, text: "\u001b[2Jx\n" });
    expect(lines.join("")).not.toContain("\u001b");
  });
});

describe("the tree of a build", () => {
  test("shows stages, what is cached, and the last lines of what runs", () => {
    let now = 0;
    const state = new BuildTreeState(() => now);
    for (const event of events) state.apply("web", event);
    now = 1500;
    expect(plain(state.render({ columns: 80, rows: 24 }))).toEqual([
      "● web 1/2",
      "  base",
      "    1/2 COPY a / CACHED",
      "  stage-1",
      "    1/1 RUN make 1.5s",
      "      | one",
      "      | two",
      "      | end",
    ]);
  });

  test("is never longer or wider than the screen; what has ended gives way first", () => {
    const state = new BuildTreeState(() => 0);
    state.apply("web", {
      kind: "plan",
      steps: Array.from({ length: 50 }, (_, id) => ({ id, title: `[${id}/50] RUN x` })),
    });
    for (let id = 0; id < 49; id += 1) state.apply("web", { kind: "finished", step: id, cached: false, ms: 1 });
    state.apply("web", { kind: "started", step: 49 });
    state.apply("web", { kind: "output", step: 49, text: `${"w".repeat(500)}\n` });
    const lines = plain(state.render({ columns: 40, rows: 10 }));
    expect(lines.length).toBeLessThanOrEqual(9);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40);
    expect(lines.join("\n")).toContain("49/50 RUN x");
  });
});
