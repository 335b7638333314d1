/** Events of a build to what BuildKit's clients show: a vertex a step, its output, its end. */
import type { BuildEvent } from "../../engine/build/solve/events.ts";
import type { StatusFeed } from "./status-feed.ts";

const definition = "definition";
const pulling = "pull";
const exporting = "export";
const caching = "cache";
const stepKey = (step: number): string => `step ${step}`;

type Planned = Extract<BuildEvent, { kind: "planned" }>;

export interface Facts {
  findings: Planned["findings"];
  targets: Extract<BuildEvent, { kind: "targets" }>["targets"];
  outline: Extract<BuildEvent, { kind: "outline" }>["outline"] | undefined;
}

export class BuildProgress {
  readonly #feed: StatusFeed;
  #dockerfile: { readonly name: string; readonly text: string } | undefined;
  #failed: number | undefined;
  #keepsFindings = false;
  #isPlanned = false;
  #bases = 0;
  readonly #facts: Facts = { findings: [], targets: [], outline: undefined };

  constructor(feed: StatusFeed) {
    this.#feed = feed;
  }

  /** As soon as it is known. */
  get dockerfile(): { readonly name: string; readonly text: string } | undefined {
    return this.#dockerfile;
  }

  /** What the checks find is an answer this time, not a warning beside the build. */
  keepFindings(): void {
    this.#keepsFindings = true;
  }

  /** What there is to say of the Dockerfile, as far as it was asked for. */
  get facts(): Readonly<Facts> {
    return this.#facts;
  }

  /** A transfer of files from the client, shown as BuildKit names it. @returns what to tell of it */
  transfer(key: string, title: string, what: string): { onBytes: (count: number) => void; onEnd: () => void } {
    const feed = this.#feed;
    const id = `transferring ${what}:`;
    let [bytes, toldMs] = [0, 0];
    feed.vertex(key, title);
    feed.start(key);
    return {
      onBytes: (count) => {
        bytes += count;
        if (Date.now() - toldMs < 100) return;
        toldMs = Date.now();
        feed.status(key, id, { current: bytes, isDone: false });
      },
      onEnd: () => {
        feed.status(key, id, { current: bytes, isDone: true });
        feed.complete(key);
      },
    };
  }

  take(event: BuildEvent): void {
    const feed = this.#feed;
    switch (event.kind) {
      case "dockerfile":
        this.#dockerfile = event;
        return;
      case "pull":
        this.#pull(event.message);
        return;
      case "planned":
        this.#planned(event);
        return;
      case "started":
        feed.start(stepKey(event.step));
        return;
      case "output":
        feed.log(stepKey(event.step), event.data);
        return;
      case "finished":
        feed.complete(stepKey(event.step), { cached: event.cached });
        return;
      case "targets":
        this.#facts.targets = event.targets;
        return;
      case "outline":
        this.#facts.outline = event.outline;
        return;
      case "notice":
        feed.vertex(caching, "[internal] build cache");
        feed.start(caching);
        feed.log(caching, Buffer.from(`${event.level === "warning" ? "WARNING: " : ""}${event.text}\n`));
        return;
      case "failed":
        this.#failed = event.step;
        return;
      case "done":
        feed.complete(caching);
        return;
      case "kept":
        return;
    }
  }

  #planned({ steps, bases, findings }: Planned): void {
    const feed = this.#feed;
    // Of several platforms the checks of the first say what there is to say.
    const isFirst = !this.#isPlanned;
    this.#isPlanned = true;
    if (isFirst) this.#facts.findings = findings;
    feed.complete(pulling);
    for (const title of bases) {
      const key = `base ${(this.#bases += 1)}`;
      feed.vertex(key, title);
      feed.complete(key, { cached: true });
    }
    for (const { id, title } of steps) feed.vertex(stepKey(id), title);
    const source = this.#dockerfile ?? { name: "Dockerfile", text: "" };
    feed.vertex(definition, `[internal] load build definition from ${source.name}`);
    if (this.#keepsFindings || !isFirst) return;
    for (const { rule, message, place } of findings) {
      const short = `${rule.name}: ${message} (line ${place.start})`;
      const { start, end } = place;
      feed.warn(definition, { short, detail: rule.description, url: rule.url, source, start, end });
    }
  }

  #pull(message: object): void {
    const feed = this.#feed;
    feed.vertex(pulling, "[internal] pull base images");
    feed.start(pulling);
    const { id, status, progressDetail } = message as {
      readonly id?: unknown;
      readonly status?: unknown;
      readonly progressDetail?: { readonly current?: number; readonly total?: number };
    };
    if (typeof status !== "string") return;
    if (typeof id !== "string" || !/^[0-9a-f]{12}$/.test(id)) {
      feed.log(pulling, Buffer.from(`${status}\n`));
      return;
    }
    const isDone = /complete|Already exists/.test(status);
    feed.status(pulling, `${id}`, { ...progressDetail, isDone });
  }

  /** The step that failed ends with why. */
  fail(message: string): void {
    if (this.#failed !== undefined) this.#feed.complete(stepKey(this.#failed), { error: message });
  }

  async exporting<T>(title: string, work: (tell: (line: string) => void) => Promise<T>): Promise<T> {
    const feed = this.#feed;
    feed.vertex(exporting, title);
    feed.start(exporting);
    try {
      const result = await work((line) => feed.status(exporting, line, { isDone: true }));
      feed.complete(exporting);
      return result;
    } catch (error) {
      feed.complete(exporting, { error: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }
}
