/** ADD of a URL: one file, by HTTP or HTTPS, within bounds. */
import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { TscomposeError, errorMessage } from "../../../errors.ts";
import type { CopyOrigin } from "../plan/steps.ts";
import type { BuildScope } from "./build-context.ts";

const maxBytes = 16 * 2 ** 30;

type UrlOrigin = Extract<CopyOrigin, { kind: "url" }>;

function failure(origin: UrlOrigin, reason: string, cause?: unknown): TscomposeError {
  return new TscomposeError("build/failed", `cannot fetch ${origin.url}: ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "check the URL and that this machine reaches it",
  });
}

async function open(scope: BuildScope, origin: UrlOrigin): Promise<Response> {
  try {
    return await fetch(origin.url, { signal: scope.signal, redirect: "follow" });
  } catch (error) {
    throw failure(origin, errorMessage(error), error);
  }
}

/** @returns a directory that holds the file by the name of the URL, mode 0600 as Docker has it, with the time that the server
 *  gives it
 *  @throws build/failed for what cannot be had, or has another digest than asked for */
export async function fetchUrl(scope: BuildScope, origin: UrlOrigin): Promise<string> {
  const response = await open(scope, origin);
  if (!response.ok || response.body === null) throw failure(origin, `the server answered ${response.status}`);
  const directory = scope.workspace.newDirectory("url");
  // The name is one component: planning takes it from the end of the URL's path.
  const path = join(directory, origin.name);
  const fd = openSync(path, "wx", 0o600);
  const hash = createHash("sha256");
  let size = 0;
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > maxBytes) throw failure(origin, "it is larger than 16 GiB");
      hash.update(chunk);
      for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
    }
  } finally {
    closeSync(fd);
  }
  const digest = `sha256:${hash.digest("hex")}`;
  if (origin.checksum !== "" && origin.checksum !== digest)
    throw new TscomposeError(
      "build/failed",
      `digest mismatch of ${origin.url}: expected ${origin.checksum}, got ${digest}`,
    );
  const modified = Date.parse(response.headers.get("last-modified") ?? "");
  const time = Number.isNaN(modified) ? 0 : modified / 1000;
  utimesSync(path, time, time);
  return directory;
}
