/** Read back by a decoder of the wire format that knows nothing of the encoder: field numbers are those of control.proto. */
import { describe, expect, test } from "vitest";
import { TraceProgress } from "../../../../../src/engine/build/solve/trace-progress.ts";
import type { BuildEvent } from "../../../../../src/engine/build/solve/events.ts";

type Fields = ReadonlyMap<number, readonly (number | Buffer)[]>;

function decode(buffer: Buffer): Fields {
  const fields = new Map<number, (number | Buffer)[]>();
  let at = 0;
  const varint = (): number => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = buffer[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < buffer.length) {
    const key = varint();
    let value: number | Buffer = varint();
    if ((key & 7) === 2) {
      const end: number = at + value;
      value = buffer.subarray(at, end);
      at = end;
    }
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

const text = (fields: Fields, field: number): string | undefined => fields.get(field)?.[0]?.toString();
const nested = (fields: Fields, field: number): readonly Fields[] =>
  (fields.get(field) ?? []).map((value) => decode(value as Buffer));

const planned: BuildEvent = {
  kind: "planned",
  lines: [],
  findings: [],
  steps: [{ id: 0, title: "[2/2] RUN make" }],
  bases: ["[1/2] FROM docker.io/library/busybox:latest"],
};

function trace(...events: readonly BuildEvent[]): readonly Fields[] {
  const progress = new TraceProgress(() => 1_700_000_000_250);
  return events
    .flatMap((event) => progress.messages(event))
    .map(({ id, aux }) => {
      expect(id).toBe("moby.buildkit.trace");
      return decode(Buffer.from(aux as string, "base64"));
    });
}

describe("BuildKit's trace", () => {
  test("begins with a vertex a step; the base is there already", () => {
    const [first] = trace(planned);
    const vertices = nested(first ?? new Map(), 1);
    expect(vertices.map((vertex) => text(vertex, 3))).toEqual([
      "[1/2] FROM docker.io/library/busybox:latest",
      "[2/2] RUN make",
    ]);
    expect(text(vertices[1] ?? new Map(), 1)).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(vertices.map((vertex) => vertex.has(6))).toEqual([true, false]);
  });

  test("tells start, output and end with their times, under the same digest", () => {
    const [first, started, output, finished] = trace(
      planned,
      { kind: "started", step: 0 },
      { kind: "output", step: 0, data: Buffer.from("hi\n") },
      { kind: "finished", step: 0, cached: false, chainId: "", ms: 1 },
    ) as readonly [Fields, Fields, Fields, Fields];
    const digest = text(nested(first, 1)[1] ?? new Map(), 1);
    const [start] = nested(started, 1);
    expect(nested(start ?? new Map(), 5)[0]?.get(1)).toEqual([1_700_000_000]);
    expect(nested(start ?? new Map(), 5)[0]?.get(2)).toEqual([250_000_000]);
    const [log] = nested(output, 3);
    expect([text(log ?? new Map(), 1), text(log ?? new Map(), 4)]).toEqual([digest, "hi\n"]);
    const [end] = nested(finished, 1);
    expect(text(end ?? new Map(), 1)).toBe(digest);
    expect([end?.has(4), end?.has(6)]).toEqual([false, true]);
  });

  test("a cached step is marked so, and the image comes by its own line", () => {
    const [, cached] = trace(planned, { kind: "finished", step: 0, cached: true, chainId: "", ms: 0 });
    expect(nested(cached ?? new Map(), 1)[0]?.get(4)).toEqual([1]);
    const last = new TraceProgress().messages({ kind: "done", imageId: "sha256:a", tags: [] });
    expect(last).toEqual([{ id: "moby.image.id", aux: { ID: "sha256:a" } }]);
  });
});
