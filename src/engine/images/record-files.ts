/** JSON records in a directory, one a file. One that cannot be read is moved to `corrupt/` and reported, and the rest goes on. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { errorMessage } from "../../errors.ts";
import { writeAtomic } from "../../host/atomic-file.ts";
import { isObject, type JsonObject } from "./json.ts";

export class RecordFiles<T extends object> {
  readonly #dir: string;
  readonly #corruptDir: string;
  readonly #warn: (message: string) => void;

  constructor(dir: string, corruptDir: string, warn: (message: string) => void) {
    this.#dir = dir;
    this.#corruptDir = corruptDir;
    this.#warn = warn;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  /** @param check turns what was read into a record, or throws why not */
  *load(check: (value: JsonObject, key: string) => T): Generator<readonly [string, T]> {
    for (const name of readdirSync(this.#dir)) {
      if (!name.endsWith(".json")) {
        rmSync(join(this.#dir, name), { recursive: true, force: true }); // a temp file of a write that was cut off
        continue;
      }
      const key = name.slice(0, -".json".length);
      try {
        const value: unknown = JSON.parse(readFileSync(join(this.#dir, name), "utf8"));
        if (!isObject(value) || value["version"] !== 1) throw new Error("not a record of version 1");
        yield [key, check(value, key)];
      } catch (error) {
        this.setAside(key, errorMessage(error));
      }
    }
  }

  /** On the disk when it returns. */
  write(key: string, record: T): void {
    writeAtomic(this.#path(key), `${JSON.stringify(record)}\n`);
  }

  /** On the disk some time later: for records that are of no use before the next sync of the file system. */
  writeSoon(key: string, record: T): void {
    const temp = `${this.#path(key)}.tmp`;
    writeFileSync(temp, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    renameSync(temp, this.#path(key));
  }

  delete(key: string): void {
    rmSync(this.#path(key), { force: true });
  }

  /** Moves a record to `corrupt/` and says so. */
  setAside(key: string, reason: string): void {
    mkdirSync(this.#corruptDir, { recursive: true, mode: 0o700 });
    const target = join(this.#corruptDir, `${basename(this.#dir)}-${key}.json`);
    renameSync(this.#path(key), target);
    this.#warn(`${basename(this.#dir)} record ${key} was set aside as ${target}: ${reason}`);
  }

  #path(key: string): string {
    return join(this.#dir, `${key}.json`);
  }
}
