import type { Report } from "./report.ts";
import type { Span } from "./source.ts";

/** A reference to something that is not a file here: `oci://...`, a git address. */
export function isRemote(path: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path) || /^(?:git@|github\.com\/)/.test(path);
}

export function reportRemote(reference: string, path: readonly string[], at: Span | undefined, report: Report): void {
  report.error({
    code: "remote-unsupported",
    message: `"${reference}" is a remote compose file, and only local files are read`,
    path,
    at,
    suggestion: "fetch it first (git clone, oras pull) and give its path",
  });
}
