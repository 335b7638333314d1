/** A heredoc of COPY or ADD as a file to copy from. */
import { closeSync, openSync, writeSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { pathAt } from "../../../host/directory.ts";
import type { CopyOrigin } from "../plan/steps.ts";
import type { Workspace } from "./workspace.ts";

/** @returns the directory that holds it by its name. Times are the epoch: the same text gives the same layer. */
export function writeInline(workspace: Workspace, origin: Extract<CopyOrigin, { kind: "inline" }>): string {
  const directory = workspace.newDirectory("inline");
  const dirFd = openSync(directory, "r");
  try {
    const fd = openSync(pathAt(dirFd, origin.name), "wx", 0o644);
    try {
      const bytes = Buffer.from(origin.content);
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof TscomposeError)
      throw new TscomposeError("build/invalid", `a heredoc cannot be a file called ${JSON.stringify(origin.name)}`, {
        cause: error,
      });
    throw error;
  } finally {
    closeSync(dirFd);
  }
  return directory;
}
