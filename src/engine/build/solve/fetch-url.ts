/** ADD of a URL: one file, by HTTP or HTTPS, within bounds. */
import { createHash } from "node:crypto";
import { closeSync, openSync, utimesSync, writeSync } from "node:fs";
import { join } from "node:path";
import { TscomposeError, errorMessage } from "../../../errors.ts";
import { redacted } from "../context/git-url.ts";
import type { CopyOrigin } from "../plan/steps.ts";
import type { BuildScope } from "./build-context.ts";
import type { Fetched } from "./remote-origins.ts";

const maxBytes = 16 * 2 ** 30;

type UrlOrigin = Extract<CopyOrigin, { kind: "url" }>;

function failure(url: string, reason: string, cause?: unknown): TscomposeError {
  return new TscomposeError("build/failed", `cannot fetch ${redacted(url)}: ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "check the URL and that this machine reaches it",
  });
}

async function open(url: string, signal: AbortSignal): Promise<Response> {
  const parsed = new URL(url);
  // `fetch` refuses what a URL says about the user: it goes where it belongs.
  const { username, password } = parsed;
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  parsed.username = "";
  parsed.password = "";
  const headers: Record<string, string> =
    username === "" && password === "" ? {} : { authorization: `Basic ${Buffer.from(login).toString("base64")}` };
  try {
    return await fetch(parsed, { signal, redirect: "follow", headers });
  } catch (error) {
    if (signal.aborted) throw error;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw failure(url, errorMessage(cause), error);
  }
}

/** Writes what the URL gives to the new file `path`, mode 0600.
 *  @returns its digest and the time that the server gives it, in seconds; 0 for none
 *  @throws build/failed for what cannot be had */
export async function download(
  url: string,
  path: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<{ readonly digest: string; readonly modified: number }> {
  const response = await open(url, signal);
  if (!response.ok || response.body === null) throw failure(url, `the server answered ${response.status}`);
  const fd = openSync(path, "wx", 0o600);
  const hash = createHash("sha256");
  let size = 0;
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > maxBytes) throw failure(url, "it is larger than 16 GiB");
      hash.update(chunk);
      for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
    }
  } finally {
    closeSync(fd);
  }
  const modified = Date.parse(response.headers.get("last-modified") ?? "");
  return { digest: `sha256:${hash.digest("hex")}`, modified: Number.isNaN(modified) ? 0 : modified / 1000 };
}

/** @returns the digest, and a directory that holds the file by the name of the URL, mode 0600 as Docker has it, with the time that the server
 *  gives it
 *  @throws build/failed for what cannot be had, or has another digest than asked for */
export async function fetchUrl(scope: BuildScope, origin: UrlOrigin): Promise<Fetched> {
  const directory = scope.workspace.newDirectory("url");
  // The name is one component: planning takes it from the end of the URL's path.
  const path = join(directory, origin.name);
  const { digest, modified } = await download(origin.url, path, scope);
  if (origin.checksum !== "" && origin.checksum !== digest)
    throw new TscomposeError(
      "build/failed",
      `digest mismatch of ${redacted(origin.url)}: expected ${origin.checksum}, got ${digest}`,
    );
  utimesSync(path, modified, modified);
  return { directory, digest };
}
