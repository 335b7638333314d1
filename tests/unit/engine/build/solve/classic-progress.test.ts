import { describe, expect, it } from "vitest";
import type { PlanLine } from "../../../../../src/engine/build/plan/plan-build.ts";
import { ClassicProgress } from "../../../../../src/engine/build/solve/classic-progress.ts";
import type { BuildEvent } from "../../../../../src/engine/build/solve/events.ts";

const chain = (digit: string): string => `sha256:${digit.repeat(64)}`;
const line = (text: string, step?: number): PlanLine => ({ text, step, isFrom: false, imageId: undefined });
const from: PlanLine = { text: "FROM busybox", step: undefined, isFrom: true, imageId: chain("a") };
const planned = (...lines: readonly PlanLine[]): BuildEvent => ({
  kind: "planned",
  lines,
  findings: [],
  steps: [],
  bases: [],
});
const output = (step: number, text: string): BuildEvent => ({
  kind: "output",
  step,
  data: Buffer.from(text, "latin1"),
});
const finished = (step: number, digit: string, cached = false): BuildEvent => ({
  kind: "finished",
  step,
  cached,
  chainId: chain(digit),
  ms: 1,
});

function shown(events: readonly BuildEvent[]): string {
  const progress = new ClassicProgress();
  return events.flatMap((event) => progress.messages(event).map((message) => message.stream ?? "")).join("");
}

describe("ClassicProgress", () => {
  it("shows each instruction with what came of it", () => {
    const text = shown([planned(from, line("ENV A=1"), line("RUN x", 0)), output(0, "hi\n"), finished(0, "b")]);
    expect(text).toBe(
      [
        "Step 1/3 : FROM busybox",
        " ---> aaaaaaaaaaaa",
        "Step 2/3 : ENV A=1",
        " ---> aaaaaaaaaaaa",
        "Step 3/3 : RUN x",
        "hi",
        " ---> bbbbbbbbbbbb",
        "",
      ].join("\n"),
    );
  });

  it("says that a step came from the cache", () => {
    expect(shown([planned(line("RUN x", 0)), finished(0, "b", true)])).toContain(" ---> Using cache\n ---> bbbb");
  });

  it("keeps what a later step says until its turn", () => {
    const text = shown([
      planned(line("RUN a", 0), line("RUN b", 1)),
      output(1, "second\n"),
      finished(1, "c"),
      output(0, "first\n"),
      finished(0, "b"),
    ]);
    expect(text.indexOf("first")).toBeLessThan(text.indexOf("second"));
    expect(text).toContain("Step 2/2 : RUN b\nsecond\n ---> cccccccccccc\n");
  });

  it("does not break characters that come in two pieces", () => {
    expect(shown([planned(line("RUN a", 0)), output(0, "\u00c3"), output(0, "\u00bc")])).toContain("ü");
  });

  it("ends with the image and its names", () => {
    const progress = new ClassicProgress();
    expect(progress.messages({ kind: "done", imageId: chain("d"), tags: ["x:latest"] })).toEqual([
      { aux: { ID: chain("d") } },
      { stream: "Successfully built dddddddddddd\n" },
      { stream: "Successfully tagged x:latest\n" },
    ]);
  });
});
