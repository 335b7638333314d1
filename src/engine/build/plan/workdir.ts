/** Paths as instructions give them to absolute ones. */
import { cleanPath, joinPath } from "../ignore/go-path.ts";

/** An absolute path: `path` itself, or below the working directory so far. */
export function resolveWorkdir(current: string, path: string): string {
  if (path === "") return current.startsWith("/") ? current : joinPath("/", current);
  return path.startsWith("/") ? path : joinPath("/", current, path);
}

/** Cleaned and absolute; a "/" or "/." at the end stays, as it says that a directory is meant. */
export function resolveDestination(workdir: string, given: string): string {
  const path = given === "" || given === "." ? "./" : given;
  const resolved = path.startsWith("/") ? cleanPath(path) : joinPath("/", workdir, path);
  if (path.endsWith("/")) return resolved.endsWith("/") ? resolved : `${resolved}/`;
  if (path.endsWith("/.")) return resolved === "/" ? "/." : `${resolved}/.`;
  return resolved;
}
