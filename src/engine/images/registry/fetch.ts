/** Manifests and blobs of a repository: asked for, bounded, compared with their digests. Source: OCI distribution-spec, "Pull". */
import type { IncomingMessage } from "node:http";
import { isTscomposeError, TscomposeError } from "../../../errors.ts";
import { algorithmOf, digestOf, isDigest } from "../digest.ts";
import { isObject, maxDocumentBytes } from "../json.ts";
import { mismatch } from "../layers/layer-job.ts";
import { parseManifest, type Descriptor, type Index, type Manifest } from "../manifest.ts";
import { manifestAccept } from "../media-types.ts";
import { readAll, readChunks } from "./http.ts";
import { maxAttempts, pause, retryDelayMs } from "./retry.ts";
import type { RegistrySession } from "./session.ts";

export interface FetchedManifest {
  readonly content: Manifest | Index;
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
}
export interface Repository {
  readonly session: RegistrySession;
  /** `library/busybox`. */
  readonly path: string;
  /** For messages: `docker.io/library/busybox`. */
  readonly name: string;
  readonly signal: AbortSignal;
}

/** @param reference a tag or digest
 *  @throws image/not-found, image/pull-denied, registry/failed, registry/unreachable, image/digest-mismatch, image/invalid */
export async function fetchManifest(repository: Repository, reference: string): Promise<FetchedManifest> {
  const answer = await repository.session.request({
    method: "GET",
    path: `v2/${repository.path}/manifests/${reference}`,
    headers: { accept: manifestAccept },
  });
  await assertOk(answer, repository, `manifest for ${repository.name}${isDigest(reference) ? "@" : ":"}${reference}`);
  const bytes = await readAll(answer, maxDocumentBytes, repository.signal);
  const claimed = answer.headers["docker-content-digest"];
  const wanted = isDigest(reference)
    ? reference
    : typeof claimed === "string" && isDigest(claimed)
      ? claimed
      : undefined;
  const digest = digestOf(bytes, algorithmOf(wanted ?? ""));
  if (wanted !== undefined && wanted !== digest) throw mismatch(`manifest of ${repository.name}`, wanted, digest);
  const mediaType = answer.headers["content-type"]?.split(";", 1)[0]?.trim();
  const content = parseManifest(bytes, mediaType, `manifest of ${repository.name}`);
  return { content, bytes, descriptor: { mediaType: content.mediaType, digest, size: bytes.length } };
}

/** A small blob, whole and verified. */
export async function fetchDocument(repository: Repository, descriptor: Descriptor): Promise<Buffer> {
  if (descriptor.size > maxDocumentBytes) {
    throw new TscomposeError(
      "image/invalid",
      `configuration of ${repository.name} is larger than ${maxDocumentBytes} bytes`,
    );
  }
  const chunks: Buffer[] = [];
  for await (const chunk of downloadBlob(repository, descriptor)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const found = digestOf(bytes, algorithmOf(descriptor.digest));
  if (found !== descriptor.digest) throw mismatch(`configuration of ${repository.name}`, descriptor.digest, found);
  return bytes;
}

/** The bytes of a blob, never more than its size; a broken transfer goes on where it stopped. Not verified: that is for who
 *  takes the bytes. */
export async function* downloadBlob(repository: Repository, descriptor: Descriptor): AsyncGenerator<Buffer> {
  const { digest, size } = descriptor;
  let offset = 0;
  for (let attempt = 1; ; attempt++) {
    const startedAt = offset;
    try {
      for await (const chunk of blobFrom(repository, digest, offset)) {
        offset += chunk.length;
        if (offset > size) throw wrongLength(digest, size, "more");
        yield chunk;
      }
      if (offset === size) return;
      throw new TscomposeError("registry/unreachable", `registry sent only ${offset} of ${size} bytes of ${digest}`);
    } catch (error) {
      if (offset > startedAt) attempt = 1; // it goes forward
      if (!isTscomposeError(error, "registry/unreachable") || attempt >= maxAttempts) throw error;
      await pause(retryDelayMs(attempt, undefined, Math.random()), repository.signal);
    }
  }
}

async function* blobFrom(repository: Repository, digest: string, offset: number): AsyncGenerator<Buffer> {
  const answer = await repository.session.request({
    method: "GET",
    path: `v2/${repository.path}/blobs/${digest}`,
    headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
  });
  await assertOk(answer, repository, `blob ${digest} of ${repository.name}`);
  let skip = answer.statusCode === 206 ? checkRange(answer, offset) : offset;
  for await (const chunk of readChunks(answer, repository.signal)) {
    const wanted = skip === 0 ? chunk : chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
    if (wanted.length > 0) yield wanted;
  }
}

/** Bytes to throw away: a registry may start earlier than asked. */
function checkRange(answer: IncomingMessage, offset: number): number {
  const start = /^bytes (\d+)-/.exec(answer.headers["content-range"] ?? "")?.[1];
  const from = start === undefined ? offset : Number(start);
  if (from <= offset) return offset - from;
  answer.destroy();
  throw new TscomposeError("registry/failed", "registry answered with a range that was not asked for");
}

function wrongLength(digest: string, size: number, got: string): TscomposeError {
  return new TscomposeError(
    "image/digest-mismatch",
    `blob ${digest} should have ${size} bytes but the registry sends ${got}`,
  );
}

/** @throws what the status means; the body is then read and gone */
export async function assertOk(answer: IncomingMessage, repository: Repository, what: string): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (status === 200 || status === 206) return;
  const said = await readError(answer, repository.signal);
  const { host } = repository.session.endpoint;
  if (status === 401 || status === 403 || said.code === "DENIED") {
    throw new TscomposeError(
      "image/pull-denied",
      `pull access denied for ${repository.name}, repository does not exist or may require 'docker login': ${said.text ?? "denied"}`,
      { hint: `log in to ${host} with an account that may pull it, or check the name` },
    );
  }
  if (status === 404) {
    const reason = said.code === "NAME_UNKNOWN" ? "name unknown" : "manifest unknown";
    throw new TscomposeError("image/not-found", `${what} not found: ${reason}: ${said.text ?? reason}`, {
      hint: "check the name and the tag",
    });
  }
  const busy = status === 429 ? "toomanyrequests: " : "";
  throw new TscomposeError(
    "registry/failed",
    `registry ${host} answered ${what} with status ${status}: ${busy}${said.text ?? "no reason given"}`,
    {
      hint: status === 429 ? "wait, log in for a higher limit, or use a mirror" : "try again later",
    },
  );
}

/** The registry's own words, shortened and without control characters. */
export async function readError(
  answer: IncomingMessage,
  signal: AbortSignal,
): Promise<{ readonly code: string | undefined; readonly text: string | undefined }> {
  try {
    const body = await readAll(answer, 64 * 1024, signal);
    const document: unknown = JSON.parse(body.toString("utf8"));
    const errors: unknown = isObject(document) ? document["errors"] : undefined;
    const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
    if (!isObject(first)) return { code: undefined, text: undefined };
    const { code, message } = first;
    return {
      code: typeof code === "string" ? code : undefined,
      text: typeof message === "string" ? message.replace(/\p{Cc}+/gu, " ").slice(0, 300) : undefined,
    };
  } catch (error) {
    if (isTscomposeError(error, "aborted")) throw error;
    return { code: undefined, text: undefined };
  }
}
