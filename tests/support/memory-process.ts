/** The processes of the memory engine: what they print, what they were told, when they end. */
import type { OutputChunk, StdioSession } from "../../src/engine/engine.ts";

/** A value that is awaited by many, and changes. */
export class Signal {
  #waiting: (() => void)[] = [];
  fire(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
  wait(abort?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      abort?.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}

/** What a process does with its stdio. */
export class MemoryProcess {
  readonly chunks: OutputChunk[] = [];
  readonly changed = new Signal();
  readonly stdinOpen: boolean;
  readonly tty: boolean;
  exitCode: number | undefined;
  readonly received: Buffer[] = [];
  stdinEnded = false;
  /** Sessions that have not ended. */
  sessions = 0;

  constructor(config: { readonly tty: boolean; readonly stdin: boolean }) {
    this.tty = config.tty;
    this.stdinOpen = config.stdin;
  }
  run(argv: readonly string[]): void {
    const [program = "", ...rest] = argv;
    if (program === "echo") {
      this.print("stdout", `${rest.join(" ")}\n`);
      this.exit(0);
    } else if (program === "fail") {
      this.print("stderr", "bad\n");
      this.exit(Number(rest[0] ?? 1));
    }
    this.#program = program;
    if (program !== "cat") return;
    for (const data of this.received) this.print("stdout", data);
    if (this.stdinEnded) this.exit(0);
  }
  #program = "";
  print(stream: "stdout" | "stderr", text: string | Uint8Array): void {
    this.chunks.push({
      stream: this.tty ? "console" : stream,
      data: typeof text === "string" ? Buffer.from(text) : Buffer.from(text),
    });
    this.changed.fire();
  }
  exit(code: number): void {
    if (this.exitCode !== undefined) return;
    this.exitCode = code;
    this.changed.fire();
  }
  session(from: number): StdioSession {
    let detached = false;
    this.sessions += 1;
    const { chunks, changed } = this;
    const output = async function* (process: MemoryProcess): AsyncGenerator<OutputChunk, void, void> {
      for (let index = from; ;) {
        const chunk = chunks[index];
        if (chunk !== undefined) {
          index += 1;
          yield chunk;
        } else if (process.exitCode !== undefined || detached) return;
        else await changed.wait();
      }
    };
    return {
      tty: this.tty,
      output: output(this),
      writeStdin: (data) => {
        if (!this.stdinOpen) return Promise.resolve(false);
        this.received.push(data);
        if (this.#program === "cat") this.print("stdout", data);
        return Promise.resolve(true);
      },
      endStdin: () => {
        this.stdinEnded = true;
        if (this.#program === "cat") this.exit(0);
        this.changed.fire();
      },
      detach: () => {
        if (!detached) this.sessions -= 1;
        detached = true;
        changed.fire();
      },
    };
  }
}
