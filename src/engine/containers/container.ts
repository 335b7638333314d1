/** One container of this engine: its record, kept in memory and on disk, and what happens to it, one thing at a time. */
import { closeSync, constants, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { errnoOf } from "../../errors.ts";
import { dirname } from "node:path";
import { writeAtomicLater } from "../../host/atomic-file.ts";
import { bootId } from "../../host/process-identity.ts";
import type { ContainerPaths } from "./paths.ts";
import type { ContainerRecord, RecordedState } from "./record.ts";

type StateListener = (state: RecordedState, before: RecordedState) => void;

const durableWithinMs = 1000;

export class Container {
  readonly id: string;
  readonly paths: ContainerPaths;
  /** Exec instances, newest last; for inspect. Owned by `streams/`. */
  readonly execIds = new Set<string>();
  /** Called, and awaited, when the process exists but has not begun: who wants its first byte connects now. */
  readonly beforeRelease = new Set<() => Promise<void>>();
  #record: ContainerRecord;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<StateListener>();
  readonly #removedListeners = new Set<() => void>();
  #removed = false;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #onWriteError: (error: unknown) => void;

  /** `onWriteError`: a record that `persistSoon` could not write. */
  constructor(record: ContainerRecord, paths: ContainerPaths, onWriteError: (error: unknown) => void) {
    this.id = record.id;
    this.paths = paths;
    this.#record = record;
    this.#onWriteError = onWriteError;
  }

  /** The current record. Replaced, never changed in place: keep no old one across an await. */
  get record(): ContainerRecord {
    return this.#record;
  }
  get state(): RecordedState {
    return this.#record.state;
  }
  get name(): string {
    return this.#record.name;
  }
  /** Running or paused: it has a process. */
  get alive(): boolean {
    const { status } = this.#record.state;
    return status === "running" || status === "paused";
  }

  /** Changes the record in memory only. */
  change(change: Partial<Omit<ContainerRecord, "id" | "version" | "state">>): void {
    this.#record = { ...this.#record, ...change };
  }

  /** Changes the state, writes it for this boot (not synced: it must survive the engine, not the machine), tells the listeners. */
  update(change: Partial<RecordedState>): void {
    const before = this.#record.state;
    const state = { ...before, ...change };
    this.#record = { ...this.#record, state };
    this.#writeState();
    for (const listener of this.#listeners) listener(state, before);
  }

  /** Writes the whole record: it survives the engine at once, and a power cut once `persistSoon` has done its work. */
  persist(): void {
    const temp = `${this.paths.record}.tmp`;
    writeFileSync(temp, JSON.stringify(this.#record), { mode: 0o600 });
    renameSync(temp, this.paths.record);
    this.persistSoon();
  }

  /** Makes the record durable within a second or so: many containers that start at once do not wait for the disk. What the next
   *  engine of this boot needs is in the state. */
  persistSoon(): void {
    this.#timer ??= setTimeout(() => void this.written(), durableWithinMs);
  }

  /** Makes what is not durable yet durable now. */
  async written(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      const before = this.#writing;
      this.#writing = (async () => {
        await before;
        await this.#write();
      })();
    }
    await this.#writing;
  }

  /** Nothing more is to be written: it is being removed. */
  async forget(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
  }

  async #write(): Promise<void> {
    try {
      if (!this.#removed) await writeAtomicLater(this.paths.record, JSON.stringify(this.#record));
    } catch (error) {
      this.#onWriteError(error);
    }
  }

  /** Calls back after each `update`, synchronously. @returns how to stop that */
  onUpdate(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** It is gone. */
  get removed(): boolean {
    return this.#removed;
  }

  markRemoved(): void {
    this.#removed = true;
    for (const listener of this.#removedListeners) listener();
    this.#removedListeners.clear();
  }

  /** Calls back once, when it is removed. @returns how to stop that */
  onRemoved(listener: () => void): () => void {
    this.#removedListeners.add(listener);
    return () => this.#removedListeners.delete(listener);
  }

  /** Runs `work` after what was asked for before has ended: two verbs on one container never overlap. Not re-entrant. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const mine = (async () => {
      await before.catch(() => undefined);
      return work();
    })();
    this.#turn = mine;
    return mine;
  }

  /** In place, by one write(2), which a kill cannot cut; the first line counts. A rename over the old file would make some file
   *  systems flush it. */
  #writeState(): void {
    const line = `${JSON.stringify({ bootId: bootId(), state: this.#record.state })}\n`;
    const flags = constants.O_WRONLY | constants.O_CREAT;
    let fd: number;
    try {
      fd = openSync(this.paths.state, flags, 0o600);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      mkdirSync(dirname(this.paths.state), { recursive: true, mode: 0o700 });
      fd = openSync(this.paths.state, flags, 0o600);
    }
    try {
      writeSync(fd, line, 0);
    } finally {
      closeSync(fd);
    }
  }
}
