/** One container of this engine: its record, kept in memory and on disk, and what happens to it, one thing at a time. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { writeAtomic, writeAtomicLater } from "../../host/atomic-file.ts";
import { bootId } from "../../host/process-identity.ts";
import type { ContainerPaths } from "./paths.ts";
import type { ContainerRecord, RecordedState } from "./record.ts";

type StateListener = (state: RecordedState, before: RecordedState) => void;

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
  #writeAgain = false;
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

  /** Writes the whole record so that it survives a power cut. */
  persist(): void {
    writeAtomic(this.paths.record, JSON.stringify(this.#record));
  }

  /** As `persist`, without waiting for the disk: for what the state of this boot tells too. */
  persistSoon(): void {
    if (this.#writing !== undefined) {
      this.#writeAgain = true;
      return;
    }
    this.#writing = this.#write().finally(() => (this.#writing = undefined));
  }

  /** Resolves when nothing is being written any more. */
  async written(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    do {
      this.#writeAgain = false;
      if (this.#removed) return;
      try {
        await writeAtomicLater(this.paths.record, JSON.stringify(this.#record));
      } catch (error) {
        this.#onWriteError(error);
      }
    } while (this.#writeAgain);
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

  #writeState(): void {
    const temp = `${this.paths.state}.tmp`;
    mkdirSync(dirname(temp), { recursive: true, mode: 0o700 });
    writeFileSync(temp, JSON.stringify({ bootId: bootId(), state: this.#record.state }), { mode: 0o600 });
    renameSync(temp, this.paths.state);
  }
}
