/** Blobs and manifests into a repository. Source: OCI distribution-spec, "Push": POST, then PUT with the whole content; after a broken
 *  connection what is missing, with PATCH, where the registry has kept the rest. docker-registry 2.8 keeps whole requests only. */
import type { IncomingMessage } from "node:http";
import { isTscomposeError, TscomposeError } from "../../../errors.ts";
import type { Descriptor } from "../manifest.ts";
import { readError, type Repository } from "./fetch.ts";
import { isRetriableStatus, maxAttempts, pause, retryDelayMs } from "./retry.ts";

export interface BlobSource {
  readonly descriptor: Descriptor;
  /** Its bytes from `start` on; each chunk is valid until the next is asked for. */
  readonly open: (start: number) => AsyncIterable<Buffer>;
  /** Other repositories of the registry that are known to have it: `team/base`. */
  readonly mountFrom: readonly string[];
}
export type UploadOutcome =
  { readonly kind: "exists" } | { readonly kind: "mounted"; readonly from: string } | { readonly kind: "uploaded" };

/** A registry looks at the whole blob before it answers. */
const answerMs = 300_000;
/** Of an upload that broke once. Small enough for a bad line, large enough for a registry that keeps parts as objects of their own. */
const partBytes = 16 * 1024 * 1024;
const octets = { "content-type": "application/octet-stream" };

/** @param onBytes hears how much was sent so far
 *  @throws image/pull-denied, registry/failed, registry/unreachable, aborted */
export async function uploadBlob(
  repository: Repository,
  blob: BlobSource,
  onBytes: (sent: number) => void,
): Promise<UploadOutcome> {
  const { digest } = blob.descriptor;
  const path = `v2/${repository.path}/blobs/${digest}`;
  const head = await repository.session.request({ method: "HEAD", path });
  head.resume();
  if (head.statusCode === 200) return { kind: "exists" };
  if (head.statusCode !== 404) await refuse(head, repository, `blob ${digest}`);
  const [from] = blob.mountFrom;
  const started = await start(
    repository,
    from === undefined ? "" : `?mount=${digest}&from=${encodeURIComponent(from)}`,
  );
  if (started === undefined) return { kind: "mounted", from: from ?? "" };
  await send(repository, { ...blob, onBytes }, { place: started, offset: 0 });
  return { kind: "uploaded" };
}

/** @returns where to upload; undefined: the blob was mounted */
async function start(repository: Repository, query: string): Promise<URL | undefined> {
  const answer = await repository.session.request({
    method: "POST",
    path: `v2/${repository.path}/blobs/uploads/${query}`,
    headers: { "content-length": "0" },
  });
  if (answer.statusCode === 201) {
    answer.resume();
    return undefined;
  }
  if (answer.statusCode !== 202) await refuse(answer, repository, "an upload");
  return locationOf(answer, repository);
}

async function locationOf(answer: IncomingMessage, repository: Repository): Promise<URL> {
  const { location } = answer.headers;
  answer.resume();
  const base = await repository.session.base();
  const url = location !== undefined && URL.canParse(location, base.href) ? new URL(location, base.href) : undefined;
  const plain = url?.protocol === "http:" && base.protocol === "https:";
  if (url !== undefined && /^https?:$/.test(url.protocol) && !plain && url.username === "") return url;
  throw new TscomposeError(
    "registry/failed",
    `registry ${repository.session.endpoint.host} names no usable place for an upload`,
  );
}

/** A blob that is still being made. */
export interface GrowingBlob {
  /** Its bytes from the start, as they come to be. */
  readonly open: () => AsyncIterable<Buffer>;
  /** Resolves when all of it is there. */
  readonly finished: Promise<BlobSource>;
}

/** Sends while the blob is made; after a broken connection as `uploadBlob` goes on, when it is whole.
 *  @throws as `uploadBlob`, and what `finished` throws */
export async function uploadGrowing(repository: Repository, blob: GrowingBlob): Promise<void> {
  let place = (await start(repository, "")) ?? refuseMount(repository);
  try {
    const answer = await repository.session.request({
      method: "PATCH",
      path: place,
      headers: octets,
      body: blob.open,
      firstByteMs: answerMs,
      once: true,
    });
    if (answer.statusCode !== 202) await refuseStream(answer, repository);
    place = await locationOf(answer, repository);
    const { descriptor } = await blob.finished;
    await complete(repository, descriptor, place);
  } catch (error) {
    if (!isTscomposeError(error, "registry/unreachable")) throw error;
    const whole = { ...(await blob.finished), onBytes: () => undefined };
    const broken = error.details["status"] === undefined;
    await send(repository, whole, await placeAfterBreak(repository, place, 1), broken);
  }
}

/** Some take only what has a length: then it is sent again when it has one. */
async function refuseStream(answer: IncomingMessage, repository: Repository): Promise<never> {
  const status = answer.statusCode ?? 0;
  if (![400, 405, 411, 415, 501].includes(status)) return refuseUpload(answer, repository, "a layer");
  answer.resume();
  throw new TscomposeError("registry/unreachable", "the registry takes no streams", { details: { status } });
}

function refuseMount(repository: Repository): never {
  const { host } = repository.session.endpoint;
  throw new TscomposeError("registry/failed", `registry ${host} says that it has a layer that was not named yet`);
}

interface Sending extends BlobSource {
  readonly onBytes: (sent: number) => void;
}
/** Where an upload goes on, and after how many bytes. */
interface Place {
  readonly place: URL;
  readonly offset: number;
}

async function send(repository: Repository, blob: Sending, first: Place, broken = false): Promise<void> {
  let at = first;
  let inParts = broken;
  let furthest = at.offset;
  for (let attempt = 1; ; attempt++) {
    try {
      if (at.offset === 0 && !inParts)
        await complete(repository, blob.descriptor, at.place, () => countBytes(blob, 0, blob.descriptor.size));
      else await sendParts(repository, blob, at, (reached) => (at = reached));
      return;
    } catch (error) {
      if (!isTscomposeError(error, "registry/unreachable")) throw error;
      if (at.offset > furthest) attempt = 1; // it goes forward
      furthest = Math.max(furthest, at.offset);
      if (attempt >= maxAttempts) throw error;
      inParts = error.details["status"] === undefined;
      at = await placeAfterBreak(repository, at.place, attempt);
    }
  }
}

async function placeAfterBreak(repository: Repository, place: URL, attempt: number): Promise<Place> {
  await pause(retryDelayMs(attempt, undefined, Math.random()), repository.signal);
  const there = await received(repository, place);
  return there ?? { offset: 0, place: (await start(repository, "")) ?? place };
}

/** One request after the other: over a line that breaks, what is answered need not be sent again.
 *  @param onPart hears how far it is */
async function sendParts(
  repository: Repository,
  blob: Sending,
  from: Place,
  onPart: (reached: Place) => void,
): Promise<void> {
  const { digest, size } = blob.descriptor;
  let { place, offset } = from;
  while (offset < size) {
    const [start, end] = [offset, Math.min(size, offset + partBytes)];
    const answer = await repository.session.request({
      method: "PATCH",
      path: place,
      headers: { ...octets, "content-length": String(end - start), "content-range": `${start}-${end - 1}` },
      body: () => countBytes(blob, start, end),
      firstByteMs: answerMs,
      once: true,
    });
    if (answer.statusCode !== 202) await refuseUpload(answer, repository, `blob ${digest}`);
    place = await locationOf(answer, repository);
    offset = end;
    onPart({ place, offset });
  }
  await complete(repository, blob.descriptor, place);
}

/** @param content all of it; undefined: the registry has it all */
async function complete(
  repository: Repository,
  { digest, size }: Descriptor,
  place: URL,
  content?: () => AsyncIterable<Buffer>,
): Promise<void> {
  const url = new URL(place);
  url.searchParams.set("digest", digest);
  const answer = await repository.session.request({
    method: "PUT",
    path: url,
    headers: { ...octets, "content-length": String(content === undefined ? 0 : size) },
    ...(content === undefined ? {} : { body: content }),
    firstByteMs: answerMs,
    once: true,
  });
  if (answer.statusCode !== 201) await refuseUpload(answer, repository, `blob ${digest}`);
  answer.resume();
}

/** A registry that is busy, or that dropped the upload after a broken one, may take it at the next attempt. */
async function refuseUpload(answer: IncomingMessage, repository: Repository, what: string): Promise<never> {
  const status = answer.statusCode ?? 0;
  if (status !== 404 && status !== 416 && !isRetriableStatus(status)) return refuse(answer, repository, what);
  const said = await readError(answer, repository.signal);
  const { host } = repository.session.endpoint;
  throw new TscomposeError(
    "registry/unreachable",
    `registry ${host} did not take ${what} (status ${status}): ${said.text ?? "no reason given"}`,
    { details: { status } },
  );
}

async function* countBytes(blob: Sending, start: number, end: number): AsyncGenerator<Buffer> {
  let sent = start;
  for await (const chunk of blob.open(start)) {
    const wanted = chunk.subarray(0, end - sent);
    sent += wanted.length;
    yield wanted;
    blob.onBytes(sent);
    if (sent === end) return;
  }
}

/** How much of a broken upload the registry has; undefined: it does not know it any more. */
async function received(repository: Repository, place: URL): Promise<Place | undefined> {
  const answer = await repository.session.request({
    method: "GET",
    path: place,
  });
  const end = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers.range ?? "")?.[1];
  // "0-0" is said of nothing as well as of one byte.
  if (answer.statusCode !== 204 || end === "0") {
    answer.resume();
    return undefined;
  }
  const next = answer.headers.location === undefined ? place : await locationOf(answer, repository);
  answer.resume();
  return { offset: end === undefined ? 0 : Number(end) + 1, place: next };
}

/** @param reference a tag or digest */
export async function putManifest(
  repository: Repository,
  reference: string,
  manifest: { readonly bytes: Buffer; readonly descriptor: Descriptor },
): Promise<void> {
  const answer = await repository.session.request({
    method: "PUT",
    path: `v2/${repository.path}/manifests/${reference}`,
    headers: {
      "content-type": manifest.descriptor.mediaType,
      "content-length": String(manifest.bytes.length),
    },
    body: () => manifest.bytes,
    firstByteMs: answerMs,
  });
  if (answer.statusCode !== 201 && answer.statusCode !== 200) await refuse(answer, repository, `manifest ${reference}`);
  answer.resume();
}

async function refuse(answer: IncomingMessage, repository: Repository, what: string): Promise<never> {
  const status = answer.statusCode ?? 0;
  const said = await readError(answer, repository.signal);
  const { host } = repository.session.endpoint;
  if (status === 401 || status === 403 || said.code === "DENIED" || said.code === "UNAUTHORIZED") {
    const text = status === 401 ? "no basic auth credentials" : "denied: requested access to the resource is denied";
    throw new TscomposeError("image/pull-denied", `push to ${repository.name} was refused: ${said.text ?? text}`, {
      hint: `log in to ${host} with an account that may push to it`,
    });
  }
  throw new TscomposeError(
    "registry/failed",
    `registry ${host} did not take ${what} (status ${status}): ${said.text ?? "no reason given"}`,
    {
      hint: "try again; if it stays so, look into the registry's log",
    },
  );
}
