/** What is kept beside the copy of a folder from one build to the next. Nothing here is synced to the disk, nor are the copies: after the
 *  machine has started anew they count for nothing. */
import { randomBytes } from "node:crypto";
import { constants, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { bootId } from "../../../host/process-identity.ts";
import { isObject, type JsonObject } from "../../images/json.ts";
import type { EarlierLayers, PlainFile } from "../files/known-files.ts";

/** Of a file that was copied. */
export interface Copied {
  /** Changes with the file that was copied. */
  readonly stamp: string;
  readonly digest: string;
  readonly plain: PlainFile | undefined;
}

/** By path (see `Tree`). */
export type CopiedFiles = ReadonlyMap<string, Copied>;

export interface MirrorIndex {
  /** Of the copy, for as long as it is changed file by file. */
  readonly id: string;
  /** Counts the changes. */
  readonly state: number;
  readonly files: CopiedFiles;
}

export const newMirror = (): MirrorIndex => ({ id: randomBytes(16).toString("hex"), state: 0, files: new Map() });

/** Of a file that was copied just now: one that was copied anew as it had been is as old as before. */
export function plainFile(
  before: MirrorIndex,
  path: string,
  { digest, mode, seconds }: { readonly digest: string; readonly mode: number; readonly seconds: number },
): PlainFile {
  const known = before.files.get(path);
  const full = constants.S_IFREG | (mode & 0o7777);
  const same = known?.digest === digest && known.plain?.mode === full && known.plain.seconds === seconds;
  const since = same ? known.plain?.since : undefined;
  return { mode: full, seconds, since: since ?? before.state + 1 };
}

type Row = readonly [path: string, stamp: string, digest: string, mode: number, seconds: number, since: number];

/** Undefined where nothing is known. */
export function readIndex(path: string): MirrorIndex | undefined {
  const value = readRecord(path);
  if (value === undefined || typeof value["id"] !== "string" || typeof value["state"] !== "number") return undefined;
  if (!Array.isArray(value["files"])) return undefined;
  const files = new Map<string, Copied>();
  for (const [at, stamp, digest, mode, seconds, since] of value["files"] as readonly Row[])
    files.set(at, { stamp, digest, plain: since === 0 ? undefined : { mode, seconds, since } });
  return { id: value["id"], state: value["state"], files };
}

export function writeIndex(path: string, { id, state, files }: MirrorIndex): void {
  const rows = [...files].map(([at, { stamp, digest, plain }]): Row => {
    const { mode, seconds, since } = plain ?? { mode: 0, seconds: 0, since: 0 };
    return [at, stamp, digest, mode, seconds, since];
  });
  writeRecord(path, { id, state, files: rows });
}

function readRecord(path: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isObject(value) && value["version"] === version && value["boot"] === bootId() ? value : undefined;
  } catch {
    return undefined;
  }
}

const version = 2;

function writeRecord(path: string, record: JsonObject): void {
  const temp = `${path}.tmp`;
  writeFileSync(temp, JSON.stringify({ version, boot: bootId(), ...record }), { mode: 0o600 });
  renameSync(temp, path);
}

/** Copies of one context are few. */
const maxNotes = 32;

/** Notes in a file of its own. `index`: of the present state. */
export function earlierLayers(path: string, { id, state }: Pick<MirrorIndex, "id" | "state">): EarlierLayers {
  const notes = (): Map<string, { readonly state: number; readonly diffId: string }> => {
    const value = readRecord(path);
    const rows = value?.["id"] === id && Array.isArray(value["notes"]) ? value["notes"] : [];
    return new Map(
      (rows as readonly (readonly [string, number, string])[]).map(([copy, at, diffId]) => [
        copy,
        { state: at, diffId },
      ]),
    );
  };
  return {
    find: (copy) => notes().get(copy),
    note: (copy, diffId) => {
      const all = notes();
      all.delete(copy);
      all.set(copy, { state, diffId });
      const rows = [...all].slice(-maxNotes).map(([key, note]) => [key, note.state, note.diffId]);
      try {
        writeRecord(path, { id, notes: rows });
      } catch {
        // The next build copies.
      }
    },
  };
}

/** Bytes of the file; 0 where there is none. */
export const fileBytes = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
