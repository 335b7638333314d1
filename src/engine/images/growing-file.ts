/** A file that is read while it is still written: what a push sends of a layer that is being packed. */
import { closeSync, openSync, writeSync } from "node:fs";
import { readPieces } from "./read-pieces.ts";

export class GrowingFile {
  readonly path: string;
  readonly #fd: number;
  #size = 0;
  #end: "open" | "complete" | { readonly error: unknown } = "open";
  #waiting: (() => void)[] = [];

  /** @param path must not exist */
  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, "wx", 0o600);
  }

  append(bytes: Buffer): void {
    for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done);
    this.#size += bytes.length;
    this.#wake();
  }

  /** Nothing more comes. @param error what readers are to throw where it is not whole */
  close(error?: unknown): void {
    if (this.#end !== "open") return;
    closeSync(this.#fd);
    this.#end = error === undefined ? "complete" : { error };
    this.#wake();
  }

  /** All of it from the start, as it comes. Each piece is valid until the next is asked for. */
  async *read(): AsyncGenerator<Buffer> {
    for (let offset = 0; ;) {
      if (offset < this.#size) {
        const end = this.#size;
        for await (const piece of readPieces(this.path, { start: offset, end })) {
          offset += piece.length;
          yield piece;
        }
      } else if (this.#end === "open") await new Promise<void>((resolve) => this.#waiting.push(resolve));
      else if (this.#end === "complete") return;
      else throw this.#end.error;
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
