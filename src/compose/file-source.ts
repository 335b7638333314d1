import { closeSync, fstatSync, openSync, readSync, readFileSync, realpathSync, statSync } from "node:fs";

import { TscomposeError, errnoOf } from "../errors.ts";
import type { FileSource } from "../spec/file-source.ts";

/** The disk, for the spec layer. Standard input is read once and remembered. */
export function createFileSource(): FileSource {
  let stdin: Uint8Array | undefined;
  return {
    read(path, maxBytes) {
      if (path === "-") return (stdin ??= readFileSync(0));
      return readBounded(path, maxBytes);
    },
    kind(path) {
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats === undefined ? undefined : stats.isDirectory() ? "directory" : "file";
    },
    realPath(path) {
      try {
        return realpathSync(path);
      } catch {
        return undefined;
      }
    },
  };
}

function readBounded(path: string, maxBytes: number): Uint8Array | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "EISDIR") return undefined;
    throw unreadable(path, error);
  }
  try {
    if (fstatSync(descriptor).isDirectory()) return undefined;
    return readUpTo(descriptor, maxBytes + 1);
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    closeSync(descriptor);
  }
}

function readUpTo(descriptor: number, limit: number): Uint8Array {
  const size = Math.min(limit, Math.max(fstatSync(descriptor).size + 1, 4096));
  let buffer = Buffer.allocUnsafe(size);
  let used = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, used, buffer.length - used, null);
    used += count;
    if (count === 0 || used >= limit) return buffer.subarray(0, used);
    if (used === buffer.length) buffer = Buffer.concat([buffer], Math.min(limit, buffer.length * 4));
  }
}

function unreadable(path: string, cause: unknown): TscomposeError {
  return new TscomposeError("spec/invalid", `cannot read ${path}: ${errnoOf(cause) ?? "unknown error"}`, {
    cause,
    hint: "check its permissions",
  });
}
