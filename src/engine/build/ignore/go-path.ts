/** Go's `path` functions, where Node's differ: no trailing slash is kept, the empty path is ".". */
import { posix } from "node:path";

export function cleanPath(path: string): string {
  if (path === "") return ".";
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

/** Joined and cleaned; empty parts are left out, nothing at all gives "". */
export function joinPath(...parts: readonly string[]): string {
  const given = parts.filter((part) => part !== "");
  return given.length === 0 ? "" : cleanPath(given.join("/"));
}

export function basePath(path: string): string {
  if (path === "") return ".";
  const trimmed = path.replace(/\/+$/, "");
  return trimmed === "" ? "/" : trimmed.slice(trimmed.lastIndexOf("/") + 1);
}

/** The directory part, cleaned. */
export function parentPath(path: string): string {
  return cleanPath(path.slice(0, path.lastIndexOf("/") + 1));
}
