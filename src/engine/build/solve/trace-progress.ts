/** Events of a build to BuildKit's trace: what `POST /build?version=2` answers with. Each line holds a `StatusResponse` of its control
 *  API as protobuf in base64. Pure. Source: BuildKit api/services/control/control.proto; engine-api reference, 5.2. */
import { createHash } from "node:crypto";
import type { ProgressMessage } from "../../types.ts";
import type { BuildEvent } from "./events.ts";

/** Protobuf wire types. */
const varint = 0;
const bytesType = 2;

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(Math.trunc(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([encodeVarint((field << 3) | varint), encodeVarint(value)]);
}

function bytes(field: number, value: string | Buffer): Buffer {
  const content = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([encodeVarint((field << 3) | bytesType), encodeVarint(content.length), content]);
}

/** google.protobuf.Timestamp. */
function timestamp(field: number, ms: number): Buffer {
  const seconds = Math.floor(ms / 1000);
  return bytes(field, Buffer.concat([integer(1, seconds), integer(2, Math.round((ms - seconds * 1000) * 1e6))]));
}

function line(...parts: readonly Buffer[]): ProgressMessage {
  return { id: "moby.buildkit.trace", aux: Buffer.concat(parts).toString("base64") };
}

interface Vertex {
  readonly digest: string;
  readonly name: string;
  startedMs: number | undefined;
}

export class TraceProgress {
  readonly #now: () => number;
  readonly #vertices = new Map<number, Vertex>();

  /** `now`: milliseconds since the epoch. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  messages(event: BuildEvent): readonly ProgressMessage[] {
    switch (event.kind) {
      case "planned":
        return this.#planned(event);
      case "started":
        this.#vertex(event.step).startedMs = this.#now();
        return [line(this.#encoded(event.step, {}))];
      case "output":
        return [line(this.#log(event.step, event.data))];
      case "finished":
        return [line(this.#encoded(event.step, { cached: event.cached, completedMs: this.#now() }))];
      case "failed":
        return [line(this.#encoded(event.step, { completedMs: this.#now(), error: "the step failed" }))];
      case "done":
        return [{ id: "moby.image.id", aux: { ID: event.imageId } }];
      case "notice":
        return this.#notice(event);
      case "dockerfile":
      case "targets":
      case "outline":
      case "kept":
      case "pull":
        return [];
    }
  }

  #planned({ steps, bases, findings }: Extract<BuildEvent, { kind: "planned" }>): readonly ProgressMessage[] {
    const all = [...bases.map((title, index) => ({ id: -1 - index, title })), ...steps];
    for (const { id, title } of all) {
      const digest = `sha256:${createHash("sha256").update(`${id} ${title}`).digest("hex")}`;
      this.#vertices.set(id, { digest, name: title, startedMs: undefined });
    }
    const now = this.#now();
    const vertices = all.map(({ id }) => {
      if (id >= 0) return this.#encoded(id, {});
      this.#vertex(id).startedMs = now;
      return this.#encoded(id, { cached: true, completedMs: now });
    });
    const [first] = this.#vertices.values();
    const warnings = findings.map(({ rule, message, place }) =>
      bytes(
        4,
        Buffer.concat([
          bytes(1, first?.digest ?? ""),
          integer(2, 1),
          bytes(3, `${rule.name}: ${message} (line ${place.start})`),
          bytes(4, rule.description),
          bytes(5, rule.url),
        ]),
      ),
    );
    return [line(...vertices, ...warnings)];
  }

  #notice({ level, text }: Extract<BuildEvent, { kind: "notice" }>): readonly ProgressMessage[] {
    const [first] = this.#vertices.values();
    if (level !== "warning" || first === undefined) return [];
    return [line(bytes(4, Buffer.concat([bytes(1, first.digest), integer(2, 1), bytes(3, text)])))];
  }

  #vertex(id: number): Vertex {
    const known = this.#vertices.get(id);
    if (known === undefined) throw new Error(`no vertex ${id}`);
    return known;
  }

  #encoded(
    id: number,
    state: { readonly cached?: boolean; readonly completedMs?: number; readonly error?: string },
  ): Buffer {
    const { digest, name, startedMs } = this.#vertex(id);
    const { cached = false, completedMs, error } = state;
    // BuildKit shows what took no time as started and completed at once.
    const start = startedMs ?? completedMs;
    return bytes(
      1,
      Buffer.concat([
        bytes(1, digest),
        bytes(3, name),
        ...(cached ? [integer(4, 1)] : []),
        ...(start === undefined ? [] : [timestamp(5, start)]),
        ...(completedMs === undefined ? [] : [timestamp(6, completedMs)]),
        ...(error === undefined ? [] : [bytes(7, error)]),
      ]),
    );
  }

  #log(id: number, data: Buffer): Buffer {
    const { digest } = this.#vertex(id);
    return bytes(3, Buffer.concat([bytes(1, digest), timestamp(2, this.#now()), integer(3, 1), bytes(4, data)]));
  }
}
