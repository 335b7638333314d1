/** Keeps the logs of running containers within their bounds: notices when conmon begins a new file. */
import { basename, dirname } from "node:path";
import { errorMessage } from "../../errors.ts";
import { IN_MOVED_TO, type Inotify } from "../../host/inotify.ts";
import type { LogBounds } from "./log-config.ts";
import { keepLogFiles } from "./log-files.ts";

export class LogKeeper {
  readonly #inotify: Inotify;
  readonly #log: (level: "warn", message: string) => void;
  readonly #stops = new Map<string, () => void>();

  constructor(inotify: Inotify, log: (level: "warn", message: string) => void) {
    this.#inotify = inotify;
    this.#log = log;
  }

  /** Call when the container runs, also when it ran before this engine did. Idempotent. `onFirstRotation`: it writes much. */
  watch(containerId: string, path: string, bounds: LogBounds, onFirstRotation: () => void): void {
    this.unwatch(containerId);
    let rotations = 0;
    let rotated = false;
    const keep = (): void => {
      if (rotations > 0 && !rotated) onFirstRotation();
      rotated ||= rotations > 0;
      const seen = rotations;
      rotations = 0;
      try {
        keepLogFiles(path, bounds, seen);
      } catch (error) {
        this.#log("warn", `container ${containerId}: its log could not be rotated: ${errorMessage(error)}`);
      }
    };
    const name = basename(path);
    const onMove = (moved: string): void => {
      // An empty name: notifications were lost, so this one may have been among them.
      if (moved !== name && moved !== "") return;
      // Those that have come together are dealt with together: the file of all but the last is gone.
      if (rotations++ === 0) queueMicrotask(keep);
    };
    try {
      this.#stops.set(containerId, this.#inotify.watch(dirname(path), IN_MOVED_TO, onMove));
    } catch (error) {
      // The machine has no watches left. Its log stays within bounds all the same, but only the newest file of it is kept.
      this.#log("warn", `container ${containerId}: its log cannot be watched: ${errorMessage(error)}`);
    }
    keep();
  }

  /** Idempotent. */
  unwatch(containerId: string): void {
    this.#stops.get(containerId)?.();
    this.#stops.delete(containerId);
  }

  close(): void {
    for (const stop of this.#stops.values()) stop();
    this.#stops.clear();
  }
}
