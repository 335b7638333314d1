/** Path arithmetic of Unix, as Go's `path` does it. Nothing here looks at a disk. */

export function isAbsolute(path: string): boolean {
  return path.startsWith("/");
}

/** Without `.`, `..` and double slashes; "." for nothing. */
export function cleanPath(path: string): string {
  const absolute = isAbsolute(path);
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!absolute) parts.push("..");
  }
  const joined = parts.join("/");
  return absolute ? `/${joined}` : joined === "" ? "." : joined;
}

export function joinPath(...parts: readonly string[]): string {
  const given = parts.filter((part) => part !== "");
  return given.length === 0 ? "" : cleanPath(given.join("/"));
}

export function directoryOf(path: string): string {
  const at = path.lastIndexOf("/");
  return cleanPath(at === -1 ? "." : path.slice(0, at + 1));
}

export function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  if (trimmed === "") return path === "" ? "." : "/";
  return trimmed.slice(trimmed.lastIndexOf("/") + 1);
}

export function absolutePath(path: string, base: string): string {
  return isAbsolute(path) ? cleanPath(path) : joinPath(base, path);
}

/** `~` and `~/x`; as Docker Compose, every text that begins with `~`. */
export function expandHome(path: string, home: string | undefined): string {
  return path.startsWith("~") && home !== undefined && home !== "" ? joinPath(home, path.slice(1)) : path;
}

/** `target` as seen from `base`; undefined where only one of the two is absolute. Both must be clean. */
export function relativePath(base: string, target: string): string | undefined {
  if (isAbsolute(base) !== isAbsolute(target)) return undefined;
  const from = split(base);
  const to = split(target);
  let shared = 0;
  while (shared < from.length && shared < to.length && from[shared] === to[shared]) shared++;
  if (from.slice(shared).includes("..")) return undefined;
  const up = from.slice(shared).map(() => "..");
  return cleanPath([...up, ...to.slice(shared)].join("/"));
}

function split(path: string): string[] {
  return cleanPath(path)
    .split("/")
    .filter((part) => part !== "" && part !== ".");
}

/** `C:\x`, `\\server\share`: absolute where Windows is. */
export function isWindowsAbsolute(path: string): boolean {
  return /^[a-zA-Z]:[\\/]/.test(path) || /^(?:\\\\|\/\/)[^\\/]+[\\/][^\\/]+/.test(path);
}
