import { describe, expect, it } from "vitest";
import { LogPosition, undated } from "../../../src/compose/log-position.ts";

const line = (second: number, text: string, stream: "stdout" | "stderr" = "stdout") => ({
  stream,
  text: `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000000Z ${text}`,
});
const taken = (position: LogPosition, lines: readonly ReturnType<typeof line>[]): readonly string[] =>
  lines.filter((one) => position.isNew(one)).map(({ text }) => undated(text));

describe("a follower that connects again", () => {
  it("leaves out what it has, also of lines that bear the same date", () => {
    const position = new LogPosition();
    const written = [line(1, "a"), line(2, "b"), line(2, "b"), line(2, "c"), line(3, "d")];
    expect(taken(position, written.slice(0, 3))).toEqual(["a", "b", "b"]);
    expect(position.since).toBe("2026-01-01T00:00:02.000000000Z");
    position.reconnect();
    expect(taken(position, written.slice(1))).toEqual(["c", "d"]);
  });

  it("may break again before it has caught up", () => {
    const position = new LogPosition();
    const written = [line(2, "a"), line(2, "b"), line(2, "c"), line(2, "d")];
    expect(taken(position, written.slice(0, 3))).toEqual(["a", "b", "c"]);
    position.reconnect();
    expect(taken(position, written.slice(0, 1))).toEqual([]);
    position.reconnect();
    expect(taken(position, written)).toEqual(["d"]);
  });

  it("asks from the stream that is behind, and doubles nothing of the other", () => {
    const position = new LogPosition();
    const written = [line(1, "out"), line(2, "err", "stderr"), line(3, "late"), line(4, "later", "stderr")];
    expect(taken(position, written.slice(0, 2))).toEqual(["out", "err"]);
    expect(position.since).toBe("2026-01-01T00:00:01.000000000Z");
    position.reconnect();
    expect(taken(position, written)).toEqual(["late", "later"]);
  });

  it("takes the parts of a long line as it took its beginning", () => {
    const position = new LogPosition();
    const rest = { stream: "stdout", text: "rest" } as const;
    expect(taken(position, [line(1, "long"), rest])).toEqual(["long", "rest"]);
    position.reconnect();
    expect(taken(position, [line(1, "long"), rest, line(2, "new"), rest])).toEqual(["new", "rest"]);
  });

  it("takes what is dated earlier for new when it was never away, for a clock can be set back", () => {
    const position = new LogPosition();
    expect(taken(position, [line(5, "a"), line(3, "b"), line(4, "c")])).toEqual(["a", "b", "c"]);
  });
});
