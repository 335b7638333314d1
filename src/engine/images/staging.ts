/** Where downloads and layers are prepared: a directory on the file system of the store, so that a rename puts them into place.
 *  What an engine that was killed left there is removed by the next. */
import { mkdirSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { markTopDirectory } from "../../host/inode-flags.ts";

export class StagingArea {
  readonly #dir: string;
  #removals: Promise<void> = Promise.resolve();

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    markTopDirectory(dir);
    for (const name of readdirSync(dir)) this.discard(join(dir, name));
  }

  /** A path that does not exist yet. */
  filePath(): string {
    return join(this.#dir, randomBytes(12).toString("hex"));
  }

  /** A new, empty directory, owned by root and open to everybody as the root of a layer is. */
  directory(): string {
    const path = this.filePath();
    mkdirSync(path, { mode: 0o755 });
    return path;
  }

  /** Removes in the background what is at `path`. */
  discard(path: string): void {
    const removal = rm(path, { recursive: true, force: true, maxRetries: 2 }).catch(() => undefined);
    this.#removals = Promise.all([this.#removals, removal]).then(() => undefined);
  }

  /** Resolves when nothing is being removed any more. */
  async settled(): Promise<void> {
    await this.#removals;
  }
}
